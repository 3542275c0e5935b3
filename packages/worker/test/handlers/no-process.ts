export const handle = (): boolean => true

export const version = 1
