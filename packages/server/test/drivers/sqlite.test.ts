import { conformance } from '../conformance/index.ts'
import { openMemory } from './sqlite-storage.ts'

conformance({ name: 'SQLite in memory', open: openMemory })
