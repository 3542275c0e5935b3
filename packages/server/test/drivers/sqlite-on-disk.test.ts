import { conformance } from '../conformance/index.ts'
import { openFile } from './sqlite-storage.ts'

conformance({ name: 'SQLite in a file', open: openFile })
