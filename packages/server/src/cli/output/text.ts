/** Text that others wrote, made fit to be shown. */

const CONTROL = /\p{Control}/gu

/** One line without anything that a terminal would obey: line breaks become spaces, other controls visible signs. */
export const oneLine = (text: string): string => text.replace(/\s*[\r\n]+\s*|\t/g, ' ').replace(CONTROL, visible)

/** Several lines, likewise. */
export const manyLines = (text: string): string =>
  text
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map((line) => line.replace(/\t/g, '  ').replace(CONTROL, visible))
    .join('\n')

/** Unicode has a sign for each of the first 32 control characters and for 127. */
function visible(character: string): string {
  const code = character.charCodeAt(0)
  if (code === 0x7f) return '\u2421'
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\ufffd'
}

const ASCII = /^[\u0020-\u007e]*$/
const ZERO_WIDTH = /^[\p{Mark}\p{Format}]+$/u
// The ranges of Unicode's East Asian Width "W" and "F" that hold letters, and what is drawn as an emoji.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u

let segmenter: Intl.Segmenter | null = null

const graphemes = (text: string): Iterable<{ readonly segment: string }> => {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })
  return segmenter.segment(text)
}

const widthOf = (grapheme: string): number => (ZERO_WIDTH.test(grapheme) ? 0 : WIDE.test(grapheme) ? 2 : 1)

/** How many columns a line without controls takes. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes(text)) width += widthOf(segment)
  return width
}

/** The text if it fits into so many columns, else its beginning and an ellipsis. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let kept = ''
  let left = width - 1
  for (const { segment } of graphemes(text)) {
    left -= widthOf(segment)
    if (left < 0) break
    kept += segment
  }
  return width < 1 ? '' : `${kept.trimEnd()}…`
}
