// This file is made to be copied into an app: it takes the socket that systemd
// holds, and ends a server without losing a request. Nothing but Node's own library.
const { execFile } = require('node:child_process')
const net = require('node:net')

// What to give to server.listen: the first socket of systemd (sd_listen_fds(3)), or
// $PORT. LISTEN_FDNAMES has the names, in the order of the descriptors from 3 on.
exports.address = () =>
  process.env.LISTEN_PID === String(process.pid) && Number(process.env.LISTEN_FDS) > 0
    ? { fd: 3 }
    : { port: process.env.PORT, host: process.env.HOST }

// Tells systemd that the app is ready. Node has no datagram sockets of UNIX, so a
// program does it: the unit needs NotifyAccess=all.
exports.ready = () => process.env.NOTIFY_SOCKET && execFile('systemd-notify', ['--ready'], () => {})

// Ends the server on SIGTERM. The order matters: every answer from now on tells its
// client not to use the connection again; no new connection is taken, so those that
// arrive are the next process's; clients get a moment to hear it; and only then is
// what is idle closed. The process ends by itself with the last request.
exports.drain = (server, moment = 200) => {
  let draining = false
  const open = new Set()
  const mark = (res) => res.headersSent || res.setHeader('Connection', 'close')
  server.prependListener('request', (req, res) => {
    open.add(res)
    res.once('close', () => open.delete(res))
    if (draining) mark(res)
  })
  process.once('SIGTERM', () => {
    draining = true
    open.forEach(mark)
    // Not server.close(): since Node 19 it closes idle connections at once.
    net.Server.prototype.close.call(server)
    // Behind the next look at the sockets, so that what has come meanwhile is read.
    setTimeout(() => setImmediate(() => {
      server.closeIdleConnections()
      open.forEach((res) => {
        const { socket } = res
        res.once('finish', () => socket.end())
      })
    }), moment)
  })
}
