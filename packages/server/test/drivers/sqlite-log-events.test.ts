import { test } from 'node:test'
import { stepTooFar } from './log-event-depth.ts'
import { withStorage } from './sqlite-storage.ts'

test('As many log events are stepped over as a page may cost, and no more.', () => withStorage(':memory:', stepTooFar))
