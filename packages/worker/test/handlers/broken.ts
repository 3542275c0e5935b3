throw new Error('no database')

export function process(): void {}
