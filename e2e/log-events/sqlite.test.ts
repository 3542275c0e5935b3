import { PRODUCTS } from './suite/harness.ts'
import { logEventsOn } from './suite/index.ts'

logEventsOn(PRODUCTS.sqlite)
