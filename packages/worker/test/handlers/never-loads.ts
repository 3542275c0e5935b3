import { connect } from 'node:net'
import node from 'node:process'

connect(Number(node.env.NEVER_LOADS), '127.0.0.1')

await new Promise(() => undefined)

export function process(): void {}
