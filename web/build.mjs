// Builds the page: node build.mjs OUT. What is written there is all that reeved serves:
//   index.html, assets/app-HASH.js, assets/app-HASH.css, assets/icon-HASH.svg,
// each with a .gz and a .br beside it.
import { build } from 'esbuild'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const out = process.argv[2]
if (!out) {
  console.error('usage: node build.mjs OUT')
  process.exit(2)
}

rmSync(out, { recursive: true, force: true })
mkdirSync(join(out, 'assets'), { recursive: true })

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.ts', icon: 'src/icon.svg' },
  outdir: join(out, 'assets'),
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  loader: { '.svg': 'copy' },
  legalComments: 'eof',
  metafile: true,
  logLevel: 'warning',
})
const made = Object.keys(result.metafile.outputs).map(name => '/assets/' + name.split('/').pop())
const one = pattern => made.find(name => pattern.test(name)) ?? fail(`nothing made that matches ${pattern}`)

const html = readFileSync(join(here, 'src/index.html'), 'utf8')
  .replace('{{script}}', one(/\/app-\w+\.js$/))
  .replace('{{style}}', one(/\/app-\w+\.css$/))
  .replace('{{icon}}', one(/\/icon-\w+\.svg$/))
writeFileSync(join(out, 'index.html'), html)

let packed = 0
for (const name of ['index.html', ...readdirSync(join(out, 'assets')).map(n => 'assets/' + n)]) {
  const bytes = readFileSync(join(out, name))
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })
  writeFileSync(join(out, name + '.gz'), gzipSync(bytes, { level: 9 }))
  writeFileSync(join(out, name + '.br'), brotli)
  packed += gzipSync(bytes, { level: 9 }).length
}
console.log(`page: ${(packed / 1024).toFixed(1)} KiB compressed`)

function fail(why) {
  throw new Error(why)
}
