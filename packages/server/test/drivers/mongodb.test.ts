import { conformance } from '../conformance/index.ts'
import { openDatabase, SKIPPED } from './mongodb-storage.ts'

conformance({ name: 'MongoDB', open: openDatabase, skip: SKIPPED, concurrency: 2 })
