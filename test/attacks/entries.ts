/** Published attacks on gateways of this kind: what each does, and what stops it here. Where the text ends, nothing does yet. */
export interface Attack {
  /** "A-001". */
  readonly id: string;
  readonly kind: Kind;
  readonly what: string;
  /** What stops it; empty where nothing does yet. */
  readonly stops: string;
}

/** The kinds of attacks, and what they are called. */
export const kinds = {
  AU: "Gateway authentication bypass",
  OR: "Origin, CSWSH, CSRF, rebinding, redirect of credentials",
  SC: "Scope and role escalation",
  PA: "Pairing",
  AL: "Allowlist and identity spoofing",
  GR: "Group, mention and non-message ingress gating",
  CM: "In-chat command and directive authorisation",
  EX: "Exec-approval and allowlist bypass",
  EN: "Environment and dotenv injection",
  SB: "Sandbox escape and downgrade",
  FS: "Path traversal, symlinks, media and archives",
  SS: "Server-side request forgery",
  WH: "Webhook authenticity and replay",
  DO: "Denial of service",
  SE: "Secret leakage",
  PI: "Prompt-injection vectors (checked at the prompt-assembly and policy layers)",
  SU: "Plugin, skill and MCP supply chain",
  CF: "Config tampering by agent tools",
  XS: "XSS and UI injection",
  DI: "Discovery, transport and TLS",
  RL: "Rate-limit and throttle bypass",
  SK: "Session-key and routing injection",
  CR: "Cron, hook and background privilege",
} as const;

export type Kind = keyof typeof kinds;

/** Kinds of which every attack must have a test. */
export const enforced: readonly Kind[] = "AU OR SC PA AL GR CM EX EN SB FS SS WH DO CF XS DI RL SK".split(
  " ",
) as Kind[];

/** One line each: id, kind, what is done, what stops it. */
const table = `
A-001 | AU | Config write before any handshake | the first frame must be connect; anything else closes the socket before a method is looked up
A-002 | AU | Device-less shared-token client declares its own scopes | scopes come from the credential and the kind of client, never from what is declared
A-003 | AU | Omitted scopes default to admin | asking for nothing gives nothing; a list of the wrong type is an error of the schema
A-005 | AU | Live sockets survive token rotation | a changed token closes the sockets that came in with it; a frame on a revoked socket is not done
A-006 | AU | Reload leaves old credential valid for new connections | secrets are read from the live config for every request
A-008 | AU | Identity header accepted from a peer that is not the proxy | an identity header counts only from a trusted proxy, once, by the names that were configured
A-009 | AU | Forwarding evidence plus local password fallback | any forwarding header makes a request proxied; a password does not help it
A-010 | AU | Encoded path variants reach a protected plugin route | a path has one spelling; every other is refused, not understood
A-011 | AU | Unauthenticated plugin route inherits operator authority | there are no plugin routes; every route has a row that says how its caller is proved
A-013 | AU | Static or helper endpoints without auth | every route that shows something asks for proof; pages and helpers of others do not exist
A-014 | AU | Control server starts open when auth bootstrap fails | there is no helper server; a state folder that cannot be written refuses the start
A-015 | AU | CDP relay open or on all interfaces | one listener, on loopback; no upgrade but the control socket's
A-016 | AU | Placeholder or empty secrets accepted | a placeholder counts as no secret, and nobody comes in with it
A-017 | AU | Public bind with no auth | beyond loopback nothing starts without authentication
A-019 | AU | Other user's run stream or media by id | what is told is filtered by the connection's scopes, and by session
A-020 | OR | Cross-site WebSocket hijack of the loopback gateway | origin and host are judged before the upgrade, whatever else is sent
A-021 | OR | Origin parser confusion | an origin is compared as scheme, host and port; what is not one is refused
A-022 | OR | DNS rebinding through Host | Host must be an address, a name of this machine, or one that was written down
A-023 | OR | Loopback origin forged through a proxy | whether somebody is local is read from the socket, and a proxied request never is
A-025 | OR | CSRF on browser control and loopback helpers | requests of another site are refused before their body is read; bodies must be JSON
A-026 | OR | HTTP API without origin check behind an SSO proxy | a page's origin is judged behind the proxy too; there are no CORS headers
A-027 | OR | gatewayUrl in the UI query string steals the token | the page reads nothing from its address that could steer it
A-028 | OR | Tool-supplied gatewayUrl | no tool has a field for a gateway's address, and a field that is not known is refused
A-030 | OR | UI framing and baseline headers | one place writes the headers of every answer
A-031 | SC | Mint a broader device token | a token is given at most what its giver holds
A-032 | SC | Rotate or mint for a role never approved | a role must have been approved for that device; revoked stays revoked
A-033 | SC | Approve a pairing request above own authority | approving takes every scope that the request would be given
A-034 | SC | Act on other devices with a device token | a device's own token sees and manages that device
A-035 | SC | Node reconnect adds commands or changes platform | added commands wait for an admin; the platform that was paired stays
A-037 | SC | chat.send reaches admin-only commands | a chat message changes no setting; what changes one needs operator.admin
A-038 | SC | Reset or kill through a weaker door | the effect decides the scope: reset and delete need operator.admin through every door
A-039 | SC | node.invoke as a side channel | node.invoke refuses approvals' commands and takes no approval from its caller
A-040 | SC | Persistent browser profile changes under write scope | there is no browser to ask; a request for one is refused for every path and scope
A-042 | SC | Owner-only tools in a write-scoped chat turn | tools go through policy for every caller; those that run commands are not open to clients
A-043 | SC | Lineage and policy fields injected into agent/session RPC | parameters have strict schemas: what only the gateway may say is an unexpected property
A-044 | SC | Node forges exec lifecycle events | what a node reports must match what it was asked
A-045 | PA | Unknown sender approves himself | approving is an owner's command; a stranger's message never reaches a command
A-046 | PA | Pairing request flood | what waits is limited per account, codes expire, and an asker is answered once
A-047 | PA | Approval bleeds to other accounts | an approval is stored for one channel and account
A-049 | PA | Setup code carries the shared secret | a setup code holds a one-time token for one role, with an end
A-050 | PA | Silent local auto-pair | pages, proxied requests and changed machines wait for a person
A-052 | PA | Forged event creates a pairing request | an event without the platform's proof of its sender is dropped before pairing; webhooks need their secret
A-053 | PA | Text tricks in pairing prompts | names are shown with control and direction characters escaped
A-054 | PA | First approved DM becomes owner | owners are named in the config; pairing makes nobody one
A-055 | AL | Username instead of numeric id | senders are compared by the id that the platform proved
A-056 | AL | Display name or mutable alias matches | names, labels and aliases are not read when a sender is compared
A-057 | AL | Case folding merges two identities | ids are folded only where the platform says so
A-058 | AL | Caller-id suffix or empty caller | an id is compared whole; an empty one is nobody
A-059 | AL | Empty list means everyone | an empty list admits nobody
A-061 | AL | Recipient or conversation field matched as sender | only a sender's id is compared with a list of senders
A-062 | AL | Cross-type key collision in per-sender tool policy | per-sender limits are keyed by kind of id
A-063 | AL | Wildcard allowFrom makes everyone an owner | a wildcard makes nobody an owner
A-064 | AL | JID, LID and number normalisation | each channel has one way to write an id
A-066 | AL | Multi-person DM skips the sender list | a chat of several people is a group
A-067 | GR | Reactions and pins enqueue agent input | what is not a message makes no turn
A-068 | GR | Buttons, modals, callbacks skip sender checks | a button is judged like a message of the one who pressed it
A-069 | GR | Conversation kind misclassified | a chat of unknown kind is refused
A-070 | GR | Service messages and quotes count as mention | quotes, forwards and service messages do not address the bot
A-071 | GR | Context smuggled from people who may not speak | words of people who may not speak are left out, and others' are fenced
A-072 | GR | Paid or heavy work before authorisation | nothing is fetched before the sender is admitted
A-074 | GR | Forged group id unlocks tools | a group is the one that the message came in, not one that is named
A-075 | GR | Batched messages run with the last sender's rights | each message is a turn of its own, with the rights of its own sender, also after a crash
A-076 | GR | Read actions reach excluded channels | there is no tool that reads other chats
A-077 | GR | Stop words and listings from strangers | words of strangers stop and list nothing
A-078 | GR | Cross-conversation upload consent and SSO invokes | an event must be of the application and workspace that was configured
A-079 | CM | Owner-only surfaces open to authorised guests | owners' commands are refused to guests before anything runs
A-080 | CM | Directives inside ordinary text | a command stands at the start of a message of its sender; elsewhere it is words
A-082 | CM | Approval decided by the wrong person | an approval takes operator.approvals, and can be used once
A-083 | CM | Approval id confusion | an approval is found by its whole id, among those that wait
A-084 | CM | Prototype tricks in command flags | a path of the config has own names only
A-085 | CM | Skill or plugin command skips policy and hooks | there are no commands of skills; every tool call goes through policy
A-086 | CM | Host-capable bindings created by guests | what would start programs is set by an admin only
A-087 | CM | Subagent steers siblings or parent | there are no subagents to steer; tools of that name are refused
A-088 | CM | Config writes across accounts | lists are changed by an admin, not by chats
A-089 | EX | Second pipeline stage unchecked | each part of a pipeline is judged
A-090 | EX | Chaining operators | a line is judged as a tree; what is not understood asks
A-091 | EX | Command substitution inside quotes | substitutions are judged where they stand
A-092 | EX | Line continuation folds tokens | a continued line asks
A-094 | EX | Process substitution and redirection | each redirection is judged as a file
A-095 | EX | Heredoc bodies | a heredoc with expansion asks
A-096 | EX | env and friends hide the real program | the innermost program is judged
A-097 | EX | env split-string | options that change the meaning ask
A-099 | EX | Allow-always saves the shell, not the command | interpreters are never remembered
A-100 | EX | Allow-always reused in another context | what is remembered is one program of one agent
A-101 | EX | Multiplexer binaries | an applet is part of the identity
A-102 | EX | Positional-parameter carriers | positional programs ask
A-103 | EX | Shown text differs from executed argv | what is shown is made from what is run
A-104 | EX | Shell start-up files and flag clusters | shells with start-up files ask
A-105 | EX | cmd.exe and PowerShell forms | Windows shells are not understood, so they ask
A-106 | EX | Safe-bin option smuggling | safe programs have tables of options
A-107 | EX | Safe-bin glob and variable expansion | patterns and variables ask for safe programs
A-108 | EX | jq and awk as secret readers or executors | jq, awk and sed are not safe programs
A-109 | EX | Binary shadowing | a program is a real path in folders that only root writes
A-110 | EX | Pattern overmatch | patterns match whole paths
A-112 | EX | Symlink or script swapped after approval | programs, scripts and folders are compared again at the start
A-113 | EX | Interpreter inline evaluation | inline code asks, every time
A-114 | EX | Loader flags pull in unreviewed code | options that load code ask
A-116 | EX | Repository configuration executes code | git asks, unless an admin listed it; the file tools and redirections write into no repository's own folder
A-117 | EX | Model sets its own policy fields | tools know no field by which a model would permit itself
A-118 | EX | Timeout and headless fallbacks approve | without an answer nothing runs
A-119 | EX | Misleading approval prompt | what is shown is escaped
A-120 | EX | Obfuscated commands | obfuscation asks like anything that is not plain
A-121 | EX | Plan changed between approval and run | what runs is what was planned
A-122 | EX | Interactive process as a second channel | typing into a running program asks; a process belongs to its session
A-123 | EX | Argument injection into helper programs | helpers get arguments as a list, never a shell's text
A-124 | EX | ACP and CLI-backend auto-approval by hint | there are no backends whose word counts; a tool is found by its exact name
A-125 | EN | Dangerous overrides on exec env | variables that redirect programs are refused
A-126 | EN | Env key normalisation mismatch | names of variables are compared as the system reads them
A-127 | EN | Secrets inherited by children | a child's environment is built from nothing, and the gateway takes its own out of what the system shows (its memory stays readable to a debugger of the same user)
A-128 | EN | Workspace .env takes over the host | a workspace's .env is not read
A-129 | EN | Code loaded from the current directory | nothing is loaded from the working folder
A-131 | SB | Dangerous container options through config | what a sandbox cannot follow gives no sandbox, and nothing runs
A-132 | SB | Bind validation dodged by path shape | folders are compared after links were followed; system folders, homes and the state folder are never shown
A-133 | SB | Network namespace modes | no network but none; a probe tries to leave
A-134 | SB | Config hash ignores order | the arrangement is made from what was proved, and a change of the config proves again
A-135 | SB | Child agent runs unsandboxed | there are no subagents, no jobs and no tool that reaches another agent or session
A-137 | SB | Heartbeat or background context regains host/owner | nothing runs by itself: there is no heartbeat, and what ends in the background starts no turn
A-138 | SB | Sandboxed session reads others' sessions | no tool tells of sessions, and none takes a session's key
A-139 | SB | Sandbox files become host code on sync | nothing is synchronised; file tools follow no link
A-140 | SB | FS-bridge race | a file is reached by descriptors from the sandbox's folder
A-141 | SB | Host control from a sandboxed browser or loopback tool | there is no browser and no tool of others; a sandbox's calls go nowhere else
A-143 | FS | Plain traversal forms in read/write/edit | a path is opened part by part below the workspace
A-145 | FS | Symlink, hardlink, dangling link | links out, dangling links and hard links are refused
A-146 | FS | Check/use race on workspace files | a file is checked by its descriptor, not by its name
A-147 | FS | Search tools with an unchecked root | there are no search tools; reading a folder is judged like a file
A-148 | FS | MEDIA directive in model text | text attaches no files
A-149 | FS | Attachment parameter aliases | no tool attaches files
A-150 | FS | Denied reader leaks files through delivery | nothing is attached, so nothing passes a denied reader
A-151 | FS | Hostile inbound file names | names of files that came in are not used as paths
A-152 | FS | Session and agent identifiers in paths | ids have a grammar, and sessions are rows, not files
A-153 | FS | Agent files API follows links | an agent's files are named by a list and opened without links
A-154 | FS | Browser file surfaces | there is no browser
A-155 | FS | Archive extraction escapes | one reader lists and unpacks, from one copy, into a new folder; a link, a device or a name that could lead elsewhere refuses the whole
A-157 | FS | Static and media routes | the page's files are a table made at start; includes stay in their folder
A-158 | SS | IPv4 literal encodings | every notation is classified after it was parsed
A-159 | SS | IPv4 embedded in IPv6 | IPv4 inside IPv6 is classified as IPv4
A-161 | SS | Special-use ranges | one table of special ranges for literals and answers of DNS
A-162 | SS | Internal names and trailing dots | local names are refused in any case and with any dots
A-163 | SS | DNS answers and rebinding | one private answer refuses a name; the connection goes to the checked address
A-164 | SS | Redirect handling | each redirect is judged like a first address, and headers stay with their origin
A-166 | SS | Non-HTTP schemes | only http and https
A-167 | SS | Channel and provider URL sinks without the guard | outgoing sockets exist in three places, held by a test of the architecture
A-168 | SS | API inputs that fetch | addresses in API inputs are not fetched
A-169 | SS | Browser-mediated SSRF | there is no browser
A-170 | SS | CDP discovery pivot | there is no browser
A-171 | WH | Telegram webhook without or with wrong secret | a webhook needs its secret
A-172 | WH | Slack signature | there is no Slack webhook: Slack comes over a socket that the gateway opens
A-174 | WH | Discord interaction signature | there is no interactions endpoint
A-175 | WH | LINE and Feishu fail-open | there is no endpoint of these
A-176 | WH | Google Chat / Teams token checks | there is no endpoint of these
A-177 | WH | Twilio verification and replay | there is no endpoint of these
A-179 | WH | Self-hosted bridge webhooks trust the socket | an address proves nothing: hooks need their token from everybody
A-180 | WH | Durable replay and dedupe poisoning | an event is remembered on disk by channel, account and its own id
A-181 | WH | Ambiguous or duplicate routes and headers | a header or route that is there twice is refused
A-182 | DO | Unbounded webhook/HTTP body | every route has its size, and every body its time
A-183 | DO | Pre-auth WebSocket abuse | before connect a socket has little size, little time and a limited number
A-184 | DO | Malformed upgrade or request target | what is not a plain request is closed
A-186 | DO | Decode-before-check | a body is refused by its stated length, and files have their size checked before they are decoded
A-187 | DO | Endless or hostile upstream responses | answers of others have limits of bytes, time and depth
A-188 | DO | Catastrophic regular expressions | patterns are matched in linear time, others are refused at start
A-189 | DO | Unbounded maps keyed by attacker input | what is remembered of strangers has a limit
A-190 | DO | Cost and recursion bombs | rates, a day's budget, a limit of steps and a loop breaker
A-191 | DO | Output and history bombs | output, history and messages are cut at fixed sizes, and say so
A-193 | SE | Tokens in errors and stacks | errors and logs pass a redactor
A-194 | SE | config.get redaction gaps | what stands at a secret's place in the config is hidden, whatever it is, in every answer
A-195 | SE | Redaction sentinel round-trip | the placeholder keeps what is stored at the same path; where nothing is stored it is an error
A-196 | SE | Timing and length oracles | one comparison of secrets, of their digests, in constant time; what is no text is refused by the schema
A-197 | SE | Logs served or poisoned | the log is JSON, a record a line, without what is secret; requests are logged without their headers
A-198 | SE | Secrets in approval prompts, transcripts and tool events | what people see of commands and results has the middle of each secret hidden, and nothing that acts; what runs, and what a yes is bound to, is the command as it is
A-200 | SE | Files and permissions | files are made for the owner alone
A-202 | SE | Zero-click exfiltration by rendered output | pictures and links of answers fetch nothing
A-203 | SE | Setup and UI token handling | the start prints a ticket in a fragment, good once; no address takes a token
A-204 | PI | Wrapper end marker inside content | a fence's id comes from a key that no text knows; what looks like a marker is taken out
A-206 | PI | Chat-template tokens | tokens of models are taken out of what strangers and guests say
A-207 | PI | System-line spoof in user or event text | a stranger's words are fenced
A-208 | PI | Metadata fields as carriers | names and titles do not reach the model; who is quoted is one line inside of the fence
A-209 | PI | File and path names | a name is one line of a fixed length, and fenced like any text of others
A-210 | PI | Hidden text in fetched documents | what a page hides is left out, and a line says so; documents are not read
A-212 | PI | MCP tool poisoning, shadowing, rug pull |
A-213 | PI | Memory and summary poisoning | a turn that the owner did not write changes none of the files that the agent is told; nothing is remembered by itself; summaries of strangers' words are fenced
A-214 | PI | Model output as a control channel | what a model says is text
A-215 | PI | Forged conversation history over the HTTP API | messages of other roles are fenced or refused
A-216 | SU | Workspace code auto-loads | a workspace holds data: nothing in it is loaded as code or settings
A-217 | SU | Install-time code execution |
A-218 | SU | Integrity drift |
A-219 | SU | Manifest paths escape |
A-220 | SU | Skill installer metadata injection |
A-222 | SU | Scanner evasion |
A-223 | SU | Plugin identity and override |
A-224 | SU | Skill bin auto-allow |
A-225 | SU | MCP discovery and catalogue command injection |
A-226 | CF | Agent loosens its own guard rails | there is no tool that changes the config
A-228 | CF | Prototype pollution in merges and templates | names that an object inherits are no names
A-229 | CF | Broken or ambiguous config fails open | a config that cannot be read refuses the start, or leaves the last good one
A-230 | CF | Environment substitution as a read primitive | variables are substituted when the config is read from disk, never in what an agent writes
A-231 | CF | SecretRef provider misuse | a reference needs an id of its source's grammar and a configured provider; its file or program is absolute, no link, its owner's alone
A-232 | XS | Stored values in the page shell | values are shown as text
A-233 | XS | Markdown and link sanitising | markdown is built from nodes, links have listed schemes
A-235 | XS | Provider stream drives the UI | events of a provider are data
A-236 | XS | Spreadsheet and terminal sinks | a terminal shows control characters as their codes
A-237 | DI | mDNS leaks and steers | discovery says where to connect, nothing else
A-238 | DI | Plain ws:// to remote | a remote address needs TLS
A-240 | RL | Forwarded-header identity spoof | the client is the first untrusted hop from the right
A-241 | RL | Address-form variants | an IPv6 address counts as its /64
A-242 | RL | Browser brute force on loopback | a page is counted by its origin
A-244 | RL | Webhook secret guessing, and lockout used as DoS | wrong secrets lock out who sends them, not the right ones; records of lock-outs are not pushed out
A-245 | SK | Hook request chooses the session | a caller chooses no session unless the config lets him
A-247 | SK | Channel ids that contain key syntax | parts of a key are encoded
A-248 | SK | HTTP and tool session override | a session that a caller names must be his to name
A-249 | SK | Replies leak across routes and accounts | an answer goes where its question came from
A-250 | CR | Scheduled work outlives or exceeds the requester | there are no jobs
A-251 | CR | Case and alias tricks in job payloads | a model makes no jobs: there is no tool for them
A-253 | CR | Hook body widens its own rights | a hook's body has a strict schema
A-254 | CR | Wake, heartbeat and recovery run as owner | whoever woke the agent is the author of the turn, also after a crash: commands ask, whatever the owner may do
`;

export const attacks: readonly Attack[] = table
  .trim()
  .split("\n")
  .map((line) => {
    const [id = "", kind = "", what = "", stops = ""] = line.split("|").map((cell) => cell.trim());
    return { id, kind: kind as Kind, what, stops };
  });
