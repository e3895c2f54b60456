// Answers at once, after two seconds (/slow), and bit by bit for two seconds
// (/stream). What it does to be replaced without losing a request is in drain.js.
const fs = require('node:fs')
const http = require('node:http')
const { address, drain, ready } = require('./drain')

const text = `node ${fs.readFileSync('VERSION', 'utf8').trim()}\n`

const pages = {
  '/slow': (res) => setTimeout(() => res.end(text), 2000),
  '/stream': (res) => {
    let left = 20
    const tick = () => {
      if (left-- === 0) return res.end('end\n')
      res.write(text)
      setTimeout(tick, 100)
    }
    tick()
  },
}

const server = http.createServer((req, res) => {
  req.resume()
  req.on('end', () => (pages[req.url] || ((res) => res.end(text)))(res))
})

if (process.env.DRAIN === 'off') { // to see what is lost
  process.once('SIGTERM', () => {
    server.close()
    server.closeIdleConnections()
  })
} else {
  drain(server)
}
server.listen(address(), ready)
