// Runs test/*.test.ts with Node's own test runner: node test.mjs [WORD ...] (only files whose name has one of them).
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const words = process.argv.slice(2)
const files = readdirSync(join(here, 'test')).filter(n => n.endsWith('.test.ts') && (!words.length || words.some(w => n.includes(w))))
const out = mkdtempSync(join(tmpdir(), 'reeve-web-test-'))
try {
  await build({
    absWorkingDir: here,
    entryPoints: files.map(n => 'test/' + n),
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node18',
    // Sources that are looked at, not run, are found from here.
    define: { SOURCES: JSON.stringify(join(here, 'src')) },
    logLevel: 'warning',
  })
  const ran = spawnSync(process.execPath, ['--test', ...readdirSync(out).map(n => join(out, n))], { stdio: 'inherit' })
  process.exitCode = ran.status ?? 1
} finally {
  rmSync(out, { recursive: true, force: true })
}
