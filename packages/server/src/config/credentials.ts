// Up to the last `@`, since people put unescaped `@` and `/` into passwords. This may mask more than the password, never less.
const USER_INFO = /(:\/\/[^:@]*):.*@/gs
const SECRET_PARAMETER = /([?&][^=&]*(?:password|passwd|pwd|secret|token)[^=&]*=)[^&]*/gi

/** A text that may be a URL, with the passwords in it masked as `***`. */
export const maskCredentials = (text: string): string => text.replace(USER_INFO, '$1:***@').replace(SECRET_PARAMETER, '$1***')
