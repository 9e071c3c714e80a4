// For whoever changes the page: builds, serves it beside a running reeved, builds anew when a file changes.
//   node dev.mjs [PORT] [http://127.0.0.1:8081]
import { createServer, request } from 'node:http'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tmpdir } from 'node:os'

const here = dirname(fileURLToPath(import.meta.url))
const port = Number(process.argv[2] ?? 8090)
const api = new URL(process.argv[3] ?? 'http://127.0.0.1:8081')
const out = join(tmpdir(), `reeve-web-${process.pid}`)
const types = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }

const make = () => spawnSync(process.execPath, [join(here, 'build.mjs'), out], { stdio: 'inherit' })
make()
let later
// Each folder by itself: Node 18 watches none recursively on Linux.
for (const folder of ['', 'pages', 'parts', 'server', 'style', 'texts'])
  watch(join(here, 'src', folder), () => {
    clearTimeout(later)
    later = setTimeout(make, 100)
  })

createServer((req, res) => {
  const path = new URL(req.url, 'http://x').pathname
  const file = join(out, path === '/' ? 'index.html' : path)
  if (file.startsWith(out) && existsSync(file) && (path === '/' || path.startsWith('/assets/'))) {
    res.writeHead(200, { 'Content-Type': types[file.split('.').pop()] ?? 'application/octet-stream', 'Cache-Control': 'no-store' })
    res.end(readFileSync(file))
    return
  }
  const up = request({ host: api.hostname, port: api.port, path: req.url, method: req.method, headers: { ...req.headers, host: api.host } }, answer => {
    res.writeHead(answer.statusCode, answer.headers)
    answer.pipe(res)
  })
  up.on('error', () => res.destroy())
  res.on('close', () => up.destroy())
  req.pipe(up)
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/`))
