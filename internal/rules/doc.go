// Package rules is the frame of this module as tests: package comments, import
// directions, budgets for files and functions, calls that are reserved for named
// places, and what the shipped program must not pull in.
//
// It has no code of its own and nothing imports it. A rule names its reason; a
// change that breaks one either is wrong or changes the rule in the same commit.
package rules
