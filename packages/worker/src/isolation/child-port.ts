import type { FromChild, ToChild } from './messages.ts'

/** A thread or a process that runs jobs, seen from the worker. */
export interface ChildPort {
  /** For the log: `thread 3`, `process 4711`. */
  readonly label: string
  /** Harmless once the child has ended. */
  send(message: ToChild): void
  /** Ends the child, whatever it does; `ended` tells when. */
  kill(): void
}

export interface ChildListener {
  message(message: FromChild): void
  /** Comes once, after all messages. @param how such as `was killed by SIGKILL`. */
  ended(how: string, detail: string | null): void
}

/** @param href the handler module's URL. */
export type OpenChild = (href: string, listener: ChildListener) => ChildPort
