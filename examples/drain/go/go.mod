module example.org/drain

go 1.24
