import { conformance } from '../conformance/index.ts'
import { openDatabase, SKIPPED, shareServer } from './mysql-storage.ts'

shareServer()
conformance({ name: 'MySQL', open: openDatabase, skip: SKIPPED })
