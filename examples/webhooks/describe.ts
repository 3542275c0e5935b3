import type { Payload } from './payload.ts'

/** What happened, in words that follow a name: `opened pull request #2 "Update the README"`. */
export function describe(event: string, payload: Payload): string {
  const known = Object.hasOwn(EVENTS, event) ? EVENTS[event]! : (other: Payload) => act(other, event.replaceAll('_', ' '))
  return known(payload)
}

type Describe = (payload: Payload) => string

/** The webhooks of https://docs.github.com/webhooks/webhook-events-and-payloads. One that is not here is told by its name. */
const EVENTS: Readonly<Record<string, Describe>> = {
  branch_protection_rule: (p) => act(p, `the protection of branch ${quoted(p, 'rule.name')}`),
  check_run: (p) => act(p, `check run ${quoted(p, 'check_run.name')}${outcome(p, 'check_run')}`),
  check_suite: (p) =>
    act(p, `the check suite of ${p.text('check_suite.head_branch') || 'a commit'}${outcome(p, 'check_suite')}`),
  code_scanning_alert: (p) => act(p, `code scanning alert #${p.text('alert.number')} ${quoted(p, 'alert.rule.description')}`),
  commit_comment: (p) => act(p, `a comment on commit ${commit(p, 'comment.commit_id')}`),
  create: (p) => `created ${p.text('ref_type')} ${quoted(p, 'ref')}`,
  delete: (p) => `deleted ${p.text('ref_type')} ${quoted(p, 'ref')}`,
  dependabot_alert: (p) =>
    act(p, `Dependabot alert #${p.text('alert.number')} ${quoted(p, 'alert.security_advisory.summary')}`),
  deploy_key: (p) => act(p, `deploy key ${quoted(p, 'key.title')}`),
  deployment: (p) => act(p, `a deployment of ${p.text('deployment.ref')} to ${p.text('deployment.environment')}`),
  deployment_review: (p) => act(p, `a review of the deployment to ${p.text('environment')}`),
  deployment_status: (p) =>
    `reported ${p.text('deployment_status.state')} for the deployment of ${p.text('deployment.ref')} to ${p.text('deployment.environment')}`,
  discussion: (p) => act(p, `discussion #${p.text('discussion.number')} ${quoted(p, 'discussion.title')}`),
  discussion_comment: (p) => act(p, `a comment on discussion #${p.text('discussion.number')} ${quoted(p, 'discussion.title')}`),
  fork: (p) => `forked it to ${p.text('forkee.full_name')}`,
  github_app_authorization: (p) => act(p, 'the authorization of an app'),
  gollum: (p) => `changed ${many(p.list('pages'), 'wiki page', (page) => quoted(page, 'title'))}`,
  installation: (p) => act(p, 'the installation of an app'),
  installation_repositories: (p) => {
    const added = p.list('repositories_added')
    const removed = p.list('repositories_removed')
    const named = many([...added, ...removed], 'repository', (one) => one.text('full_name'), 'repositories')
    return `${added.length > 0 ? 'gave the app' : 'took from the app'} ${named}`
  },
  issue_comment: (p) => act(p, `a comment on ${issue(p, 'issue')}`),
  issues: (p) => act(p, `${issue(p, 'issue')}${detail(p)}`),
  label: (p) => act(p, `label ${quoted(p, 'label.name')}`),
  marketplace_purchase: (p) => act(p, `the plan ${quoted(p, 'marketplace_purchase.plan.name')}`),
  member: (p) => act(p, `${p.text('member.login')} as a collaborator`),
  membership: (p) => act(p, `${p.text('member.login')} ${preposition(p)} team ${quoted(p, 'team.name')}`),
  merge_group: (p) => act(p, `for the merge group of ${commit(p, 'merge_group.head_sha')}`),
  meta: (p) => act(p, 'this webhook'),
  milestone: (p) => act(p, `milestone ${quoted(p, 'milestone.title')}`),
  org_block: (p) => act(p, `user ${p.text('blocked_user.login')}`),
  organization: (p) => act(p, `the organization${about(p.first('membership.user.login', 'invitation.login'))}`),
  package: (p) => act(p, `package ${quoted(p, 'package.name')} ${p.text('package.package_version.version')}`.trimEnd()),
  page_build: (p) => `built the pages: ${p.text('build.status')}`,
  ping: (p) => `set up webhook ${p.text('hook_id')}`,
  project: (p) => act(p, `project ${quoted(p, 'project.name')}`),
  project_card: (p) => act(p, `card ${quoted(p, 'project_card.note') || p.text('project_card.id')}`),
  project_column: (p) => act(p, `column ${quoted(p, 'project_column.name')}`),
  projects_v2_item: (p) =>
    act(p, `${words(p.text('projects_v2_item.content_type'))} ${p.text('projects_v2_item.id')} of a project`),
  public: () => 'made the repository public',
  pull_request: (p) => act(p, `pull request #${p.text('number')} ${quoted(p, 'pull_request.title')}${detail(p)}`),
  pull_request_review: (p) =>
    act(p, `a review of ${issue(p, 'pull_request', 'pull request')}: ${words(p.text('review.state'))}`),
  pull_request_review_comment: (p) => act(p, `a review comment on ${issue(p, 'pull_request', 'pull request')}`),
  pull_request_review_thread: (p) => act(p, `a review thread on ${issue(p, 'pull_request', 'pull request')}`),
  push: (p) => {
    const ref = p.text('ref').replace(/^refs\/(?:heads|tags)\//, '')
    if (p.at('deleted') === true) return `deleted ${ref}`
    const commits = p.list('commits')
    const messages = commits.map((one) => one.text('message').split('\n', 1)[0])
    return `pushed ${plural(commits.length, 'commit')} to ${ref}${messages.length === 0 ? '' : `: ${messages[0]}`}`
  },
  release: (p) => act(p, `release ${p.first('release.name', 'release.tag_name')}`),
  repository: (p) => act(p, `the repository${detail(p)}`),
  repository_dispatch: (p) => `sent the event ${quoted(p, 'action')} to ${p.text('branch')}`,
  repository_import: (p) => `imported the repository: ${p.text('status')}`,
  repository_vulnerability_alert: (p) =>
    `${p.text('action').replace(/e?$/, '')}ed the alert about ${p.text('alert.affected_package_name')} (${p.first('alert.ghsa_id', 'alert.external_identifier')})`,
  security_advisory: (p) => act(p, `advisory ${p.text('security_advisory.ghsa_id')}: ${p.text('security_advisory.summary')}`),
  sponsorship: (p) =>
    act(p, `the sponsorship of ${p.text('sponsorship.sponsorable.login')} (${p.text('sponsorship.tier.name')})`),
  star: (p) => (p.text('action') === 'deleted' ? 'took the star back' : 'gave a star'),
  status: (p) => `reported ${p.text('state')} for commit ${commit(p, 'sha')} (${p.text('context')})`,
  team: (p) => act(p, `team ${quoted(p, 'team.name')}`),
  team_add: (p) => `gave team ${quoted(p, 'team.name')} access`,
  watch: () => 'gave a star',
  workflow_dispatch: (p) => `started workflow ${p.text('workflow')} on ${p.text('ref').replace(/^refs\/heads\//, '')}`,
  workflow_job: (p) => act(p, `workflow job ${quoted(p, 'workflow_job.name')}${outcome(p, 'workflow_job')}`),
  workflow_run: (p) =>
    act(
      p,
      `a run of workflow ${p.first('workflow_run.name', 'workflow.name', 'workflow_run.path')}${outcome(p, 'workflow_run')}`,
    ),
}

/** The action of the payload done to a thing, and the fields that changed by it. */
function act(payload: Payload, thing: string): string {
  const action = payload.text('action')
  const verb = Object.hasOwn(VERBS, action) ? VERBS[action] : words(action)
  const changed = payload.names('changes').map(words)
  const fields = [...changed.slice(0, 3), ...(changed.length > 3 ? ['…'] : [])].join(', ')
  return `${verb || 'sent'} ${thing}${fields === '' ? '' : ` (${fields})`}`
}

/** Actions that are not the past of a verb. */
const VERBS: Readonly<Record<string, string>> = {
  added_to_repository: 'gave the repository',
  appeared_in_branch: 'found in another branch',
  auto_merge_disabled: 'turned auto-merge off for',
  auto_merge_enabled: 'turned auto-merge on for',
  category_changed: 'changed the category of',
  checks_requested: 'requested checks',
  closed_by_user: 'closed',
  converted_to_draft: 'made a draft of',
  in_progress: 'began',
  member_added: 'added a member to',
  member_invited: 'invited a member to',
  member_removed: 'removed a member from',
  new_permissions_accepted: 'accepted new permissions for',
  pending_cancellation: 'is going to cancel',
  pending_change: 'is going to change',
  pending_change_cancelled: 'keeps, after all,',
  pending_tier_change: 'is going to change',
  ready_for_review: 'made ready for review',
  removed_from_repository: 'took the repository from',
  reopened_by_user: 'reopened',
  review_request_removed: 'took back a review request for',
  review_requested: 'requested a review of',
  suspend: 'suspended',
  synchronize: 'pushed to',
  unsuspend: 'unsuspended',
  waiting: 'waits with',
  withdrawn: 'withdrew',
}

/** What an action was done with: a label, a person, a milestone, another name. */
function detail(payload: Payload): string {
  const label = payload.text('label.name')
  const person = payload.first('requested_reviewer.login', 'assignee.login')
  const milestone = payload.text('milestone.title')
  const merged = payload.text('action') === 'closed' && payload.at('pull_request.merged') === true
  return [
    label === '' ? '' : `, label "${label}"`,
    about(person),
    milestone === '' ? '' : `, milestone "${milestone}"`,
    merged ? ', merged' : '',
  ].join('')
}

const about = (person: string): string => (person === '' ? '' : `, ${person}`)

const issue = (payload: Payload, path: string, noun = 'issue'): string =>
  `${noun} #${payload.text(`${path}.number`)} ${quoted(payload, `${path}.title`)}`

function outcome(payload: Payload, path: string): string {
  const text = payload.first(`${path}.conclusion`, `${path}.status`)
  return text === '' ? '' : `: ${words(text)}`
}

const preposition = (payload: Payload): string => (payload.text('action') === 'removed' ? 'from' : 'to')

const words = (text: string): string =>
  text
    .replaceAll('_', ' ')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toLowerCase()

const quoted = (payload: Payload, path: string): string => {
  const text = payload.text(path)
  return text === '' ? '' : `"${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`
}

const commit = (payload: Payload, path: string): string => payload.text(path).slice(0, 7)

const plural = (count: number, one: string, several = `${one}s`): string => `${count} ${count === 1 ? one : several}`

/** The first few of them by name. */
function many(items: readonly Payload[], one: string, name: (item: Payload) => string, several = `${one}s`): string {
  const named = items.slice(0, 3).map(name).join(', ')
  return `${plural(items.length, one, several)}: ${named}${items.length > 3 ? ' and others' : ''}`
}
