/** Loads the module whose URL is the argument and sees whether it is a handler; says on standard error why it is not. */
try {
  const module = (await import(process.argv[2]!)) as { readonly process?: unknown }
  if (typeof module.process !== 'function') throw new Error('it exports no function named "process"')
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
