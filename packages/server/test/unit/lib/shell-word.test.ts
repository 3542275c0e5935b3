import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { shellWord } from '../../../src/lib/shell-word.ts'

test('A shell reads one word that is the text.', { skip: process.platform === 'win32' }, () => {
  for (const text of ['emails', 'a/b.ts', 'two words', "it's", '$(id) `id`', 'a;b&c|d>e', '*', '', '~', 'ü 漢', 'a\nb'])
    assert.equal(execFileSync('sh', ['-c', `printf '%s.' ${shellWord(text)}`], { encoding: 'utf8' }), `${text}.`)
})
