// The little of Node that tests use; the page itself knows nothing of it.
declare module 'node:test' {
  export default function test(name: string, fn: () => void | Promise<void>): void
}
declare module 'node:assert/strict' {
  interface Assert {
    (value: unknown, message?: string): asserts value
    equal(actual: unknown, expected: unknown, message?: string): void
    deepEqual(actual: unknown, expected: unknown, message?: string): void
    ok(value: unknown, message?: string): asserts value
  }
  const assert: Assert
  export default assert
}
declare module 'node:fs' {
  export function readFileSync(path: string, encoding: 'utf8'): string
  export function readdirSync(path: string, options: { withFileTypes: true }): { name: string; isDirectory(): boolean }[]
}
declare const SOURCES: string
