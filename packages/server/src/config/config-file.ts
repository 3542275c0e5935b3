import type * as Yaml from 'yaml'
import type { Document, ErrorCode, ParsedNode, YAMLMap } from 'yaml'
import { isSettingKey, keysInFile, type SettingKey, settingFor, settingKeys, settings } from './settings.ts'
import type { Given, Reading } from './settle.ts'
import { didYouMean, nameOnly, suggest } from './suggest.ts'
import { describeFailure, isMissing, readTextFile } from './text-file.ts'

export const CONFIG_FILE = 'octoflow.yml'

/**
 * Reads the settings of a YAML file. What is `null` in it counts as not set.
 * @param name what messages call the file.
 * @param required whether it is a problem if there is no such file.
 */
export async function readConfigFile(file: string, name: string, required: boolean): Promise<Reading> {
  const read = readTextFile(file)
  if ('failure' in read) {
    const fault = `${file} cannot be read: ${describeFailure(read.failure)}.`
    if (required) return { given: [], problems: [`--config: ${fault} Name a YAML file, or leave the flag out.`] }
    return { given: [], problems: isMissing(read.failure) ? [] : [`${name}: ${fault}`] }
  }
  const yaml = await import('yaml')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(read.text, { lineCounter: lines, prettyErrors: false })
  const lineAt = (offset: number): string => `${name} line ${lines.linePos(offset).line}`
  const faults = [...document.errors, ...document.warnings].map(
    ({ code, pos }) => `${lineAt(pos[0])}: this is not YAML that can be used: ${describeFault(code)}.`,
  )
  if (faults.length > 0) return { given: [], problems: [...new Set(faults)] }
  return new Walk(yaml, document, lineAt).read()
}

/** In our own words, since those of the library quote the text, which may hold a key or a password. */
const FAULTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_INDENT: 'the indentation does not fit, or a bracket is missing',
  BAD_SCALAR_START: 'the value begins with a character that needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'there is a second colon in the line, or the indentation does not fit',
  DUPLICATE_KEY: 'the same name stands here twice',
  MISSING_CHAR: 'a colon, a quote or a bracket is missing',
  MULTILINE_IMPLICIT_KEY: 'a name goes over several lines, or the indentation does not fit',
  MULTIPLE_DOCS: 'the file holds more than one document',
  TAB_AS_INDENT: 'tabs cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'tags beginning with ! are not known',
}

const describeFault = (code: ErrorCode): string => FAULTS[code] ?? `the syntax is wrong (${code})`

class Walk {
  readonly #yaml: typeof Yaml
  readonly #document: Document.Parsed
  readonly #lineAt: (offset: number) => string
  readonly #given: Given[] = []
  readonly #problems: string[] = []

  constructor(yaml: typeof Yaml, document: Document.Parsed, lineAt: (offset: number) => string) {
    this.#yaml = yaml
    this.#document = document
    this.#lineAt = lineAt
  }

  read(): Reading {
    this.#readGroup(this.#document.contents, '', 'the file')
    return { given: this.#given, problems: this.#problems }
  }

  /** @param prefix what stands before the names of the group: nothing, or a section and a dot. */
  #readGroup(node: ParsedNode | null, prefix: string, title: string): void {
    if (this.#isMap(node)) for (const { key, value } of node.items) this.#readPair(prefix + this.#nameOf(key), key, value)
    else if (node !== null && this.#toValue(node) !== null)
      this.#complain(node, `${title} is no group of settings; expected lines of the form "name: value".`)
  }

  #readPair(name: string, key: ParsedNode, value: ParsedNode | null): void {
    const top = keysInFile.get(name)
    if (top !== undefined) this.#readSetting(top, key, value)
    else if (isSettingKey(name)) this.#readSetting(name, key, value)
    else if (Object.hasOwn(settings, name)) this.#readGroup(value, `${name}.`, name)
    else {
      const kind = this.#isMap(value) && !name.includes('.') ? 'section' : 'setting'
      const names = kind === 'section' ? Object.keys(settings) : [...settingKeys, ...keysInFile.keys()]
      const shown = nameOnly(name)
      this.#complain(key, `${shown} is not a ${kind}.${didYouMean(suggest(shown, names, '.'))}`)
    }
  }

  #readSetting(name: SettingKey, key: ParsedNode, value: ParsedNode | null): void {
    const raw = value === null ? null : this.#toValue(value)
    if (raw === null) return
    const { notInFile, flag, env } = settingFor(name)
    if (notInFile === undefined) this.#given.push({ key: name, name, source: this.#lineAt(key.range[0]), raw })
    else this.#complain(key, `${name} cannot be set in this file, since ${notInFile}. Use ${flag} or ${env?.[0]}.`)
  }

  /** The value as JavaScript has it; `null` where there is none, or where it could not be made and a problem was noted. */
  #toValue(node: ParsedNode): unknown {
    try {
      return node.toJS(this.#document)
    } catch {
      this.#complain(node, 'this is not YAML that can be used: an alias (*) refers to no anchor (&).')
      return null
    }
  }

  #complain(node: ParsedNode, problem: string): void {
    this.#problems.push(`${this.#lineAt(node.range[0])}: ${problem}`)
  }

  #isMap(node: ParsedNode | null): node is YAMLMap.Parsed {
    return this.#yaml.isMap(node)
  }

  #nameOf(key: ParsedNode): string {
    return this.#yaml.isScalar(key) ? String(key.value) : '(a group)'
  }
}
