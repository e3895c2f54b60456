// Package relay joins the connections of a public socket to an app that listens
// somewhere else, and changes that somewhere without losing one. It knows TCP and
// UNIX stream sockets and nothing of what is said over them.
//
// The target is a symbolic link whose text is the address, read anew for each
// connection: a switch is one rename, and every connection that is accepted behind
// it goes to the new target. As long as nothing has been exchanged with a target,
// a connection that is refused is tried again, for Options.Wait.
//
// It is a loop over epoll(7) per thread and no goroutine per connection: an open
// connection that is idle costs this process two descriptors and a few hundred
// bytes. Small pieces are copied through one buffer of the loop; streams go through
// splice(2), with a pipe as long as they last. Back pressure is the kernel's: what
// one side does not take is not read from the other.
//
// An end of one side is handed on as the end of that direction alone (half-close);
// a reset is handed on as a reset, once the other direction has nothing more to say.
//
// A relay hands itself over to another process, with its sockets and its open
// connections (HandOver, TakeOver): a new version of the program takes its place
// while nobody waits for longer than that takes, some milliseconds.
package relay
