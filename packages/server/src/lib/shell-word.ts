/** A text as one word of a command line that is to be pasted into a shell. */
export const shellWord = (text: string): string => (/^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
