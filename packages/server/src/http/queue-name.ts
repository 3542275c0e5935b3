import { QUEUE_NAME_LENGTH } from '../model/queue.ts'

/** Counts characters as JSON Schema does, not the halves that some of them have in UTF-16. */
export const isTooLong = (name: string): boolean => name.length > QUEUE_NAME_LENGTH && [...name].length > QUEUE_NAME_LENGTH
