package queue

// Decode is decode, for the fuzzer.
var Decode = decode
