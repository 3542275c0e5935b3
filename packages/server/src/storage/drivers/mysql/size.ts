import type { Connection } from './connection.ts'

/**
 * The bytes of the tables' files. Only who may look at all processes may look at files; to others the server tells what it
 * remembers of the tables, which may be some seconds old.
 */
export async function sizeOf(connection: Connection): Promise<number> {
  const files = connection.server.mariadb ? 'INNODB_SYS_TABLESPACES' : 'INNODB_TABLESPACES'
  const [allowed] = await connection.rows<[number]>(MAY_SEE_FILES)
  const [row] = await connection.rows<[number]>(allowed![0] > 0 ? sumOfFiles(files) : SUM_OF_TABLES)
  return row![0]
}

const MAY_SEE_FILES = `SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'PROCESS'
  AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')`

const sumOfFiles = (table: string): string => `SELECT COALESCE(SUM(FILE_SIZE), 0) FROM information_schema.${table}
  WHERE NAME LIKE CONCAT(DATABASE(), '/octoflow\\\\_%')`

const SUM_OF_TABLES = `SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'octoflow\\\\_%'`
