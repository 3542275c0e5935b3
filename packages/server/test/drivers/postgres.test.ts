import { conformance } from '../conformance/index.ts'
import { openSchema, SKIPPED, shareServer } from './postgres-storage.ts'

shareServer()
conformance({ name: 'PostgreSQL', open: openSchema, skip: SKIPPED })
