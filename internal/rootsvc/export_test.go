package rootsvc

// DecodeRequest reads the text of a request.
func DecodeRequest(text []byte) (Request, error) { return decodeRequest(text) }
