import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compileDatabase, type Database, databaseUrl } from '../../../src/config/database-url.ts'
import { workspace } from './workspace.ts'

const DATA = '/srv/data'

function parsed(text: string): Database {
  const database = databaseUrl.check(text)
  assert.ok(database, text)
  return database
}

describe('database URLs', () => {
  test('SQLite files are found from the data directory, in every way to write them', () => {
    const files = {
      'sqlite:///relative.db': '/srv/data/relative.db',
      'sqlite:///sub/relative.db': '/srv/data/sub/relative.db',
      'sqlite:////abs/olute.db': '/abs/olute.db',
      'sqlite:path.db': '/srv/data/path.db',
      'sqlite:/abs.db': '/abs.db',
      'sqlite:../up.db': '/srv/up.db',
      'SQLITE+pysqlite:///x.db?check_same_thread=False': '/srv/data/x.db',
      'sqlite:///:memory:': ':memory:',
      'sqlite::memory:': ':memory:',
    }
    for (const [text, url] of Object.entries(files))
      assert.deepEqual(compileDatabase(parsed(text), DATA), { driver: 'sqlite', url }, text)
  })

  test('without one, the embedded database lies in the data directory', () => {
    assert.deepEqual(compileDatabase(null, DATA), { driver: 'sqlite', url: '/srv/data/octoflow.db' })
  })

  test('other databases lose what SQLAlchemy adds to the scheme and keep the rest', () => {
    const urls = {
      'postgresql+psycopg2://u:p@db:5432/jobs?sslmode=require': ['postgres', 'postgres://u:p@db:5432/jobs?sslmode=require'],
      'postgres:///jobs': ['postgres', 'postgres:///jobs'],
      'mysql+pymysql://u@db/jobs': ['mysql', 'mysql://u@db/jobs'],
      'mariadb://db/jobs': ['mysql', 'mysql://db/jobs'],
      'mongodb://a:1,b:2/jobs?replicaSet=rs': ['mongodb', 'mongodb://a:1,b:2/jobs?replicaSet=rs'],
      'MongoDB+srv://cluster.example/jobs': ['mongodb', 'mongodb+srv://cluster.example/jobs'],
    }
    for (const [text, [driver, url]] of Object.entries(urls)) assert.deepEqual(databaseUrl.check(text), { driver, url }, text)
  })

  test('what is not understood is refused without showing it', async (t) => {
    const wrong = {
      'octo:hunter2@db/jobs': 'has no scheme; expected a URL',
      'oracle://octo:hunter2@db': 'begins with oracle://; expected a URL',
      'host=db password=hunter2': 'has no scheme; expected a URL',
      'constructor://hunter2': 'begins with constructor://; expected a URL',
      'postgres:hunter2': 'has no scheme; expected a URL',
      'sqlite://hunter2.db': 'names no file; expected sqlite:///relative.db',
      'sqlite:////': 'names no file; expected sqlite:///relative.db',
      'sqlite:///': 'names no file; expected sqlite:///relative.db',
      'sqlite:': 'names no file; expected sqlite:///relative.db',
    }
    const { problems } = workspace(t)
    for (const [text, fault] of Object.entries(wrong)) {
      const [problem = '', ...others] = await problems({ env: { DATABASE_URL: text } })
      assert.ok(problem.startsWith(`DATABASE_URL in the environment: database.url ${fault}`), problem)
      assert.deepEqual(others, [])
      assert.doesNotMatch(problem, /hunter2/)
    }
  })

  test('the password is masked when shown, also one with characters that should have been escaped', () => {
    const shown = {
      'postgres://octo:hunter2@db:5432/jobs': 'postgres://octo:***@db:5432/jobs',
      'postgres://octo:hun@ter/2\n x@db/jobs': 'postgres://octo:***@db/jobs',
      'mongodb://:hunter2@a:1,b:2/jobs': 'mongodb://:***@a:1,b:2/jobs',
      'mysql://dom/octo:hunter2@db': 'mysql://dom/octo:***@db',
      'postgres://db:5432/jobs?user=u&password=hunter2&sslmode=require':
        'postgres://db:5432/jobs?user=u&password=***&sslmode=require',
      'postgres://octo@db:5432/jobs': 'postgres://octo@db:5432/jobs',
    }
    for (const [text, expected] of Object.entries(shown)) assert.equal(databaseUrl.show?.(parsed(text)), expected)
  })
})
