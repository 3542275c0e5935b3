export * from './common.ts'
export * from './jobs.ts'
export * from './operate.ts'
export * from './work.ts'
