import { conformance } from '../conformance/index.ts'
import { openFile, openMemory } from './sqlite-storage.ts'

conformance({ name: 'SQLite in memory', open: openMemory })
conformance({ name: 'SQLite in a file', open: openFile })
