/**
 * Every refusal the system can give: `stage.reason` -> what it means, and what to do next. The names are stable
 * (scripts and the audit record use them); docs/reasons.md is printed from this table.
 */
export const reasons = {
  "network.too_many_unauthenticated": [
    "Too many connections from this address have not signed in yet.",
    "Close idle connections, or sign in on them first.",
  ],
  "network.origin_refused": [
    "The web page that made this request is not one that this gateway serves.",
    "Open the gateway's own page, or add the origin to gateway.controlUi.allowedOrigins.",
  ],
  "network.proxy_attribution_required": [
    "The request came through a proxy that is not trusted.",
    "List the proxy in gateway.trustedProxies, or connect directly.",
  ],
  "network.host_refused": [
    "The Host header does not name this gateway (possible DNS rebinding).",
    "Use the address that the gateway printed at start.",
  ],
  "network.request_malformed": [
    "The request is not plain HTTP/1.1: its target, headers or body can be read in more than one way.",
    "Use an ordinary HTTP client; a proxy in front must not rewrite paths or repeat headers.",
  ],
  "network.too_fast": ["Too many new connections from this address.", "Wait a few seconds between attempts."],
  "network.authentication_required": [
    "The gateway has no authentication configured, so it answers this machine only.",
    "Set gateway.auth.token, or connect from the machine itself.",
  ],
  "network.peer_refused": [
    "The connection to Tailscale's entrance came from a program of another user of this machine.",
    "Connect through the tailnet. tailscaled must run as root, or as the user who runs the gateway.",
  ],
  "network.frame_too_large": [
    "The frame is larger than this connection may send.",
    "Send less in one frame.",
  ],

  "auth.secret_missing": ["No credential was given.", "Send gateway.auth.token as auth.token."],
  "auth.secret_mismatch": [
    "The credential is wrong.",
    "Copy the token again: openclaw config file shows where it is kept.",
  ],
  "auth.rate_limited": [
    "Too many failed attempts from this address.",
    "Wait for the time given, then try once with the right credential.",
  ],
  "auth.ticket_invalid": [
    "The sign-in link was used already, has expired, or never existed.",
    "Run openclaw dashboard for a new one.",
  ],
  "auth.device_required": [
    "This kind of client must present a device identity.",
    "Use the gateway's own page or a paired client.",
  ],
  "auth.role_invalid": ["The role is not known.", "Connect as operator or node."],
  "auth.device_identity_required": [
    "Neither a credential nor a device identity was given.",
    "Send gateway.auth.token as auth.token, or connect as a device.",
  ],
  "auth.device_identity_mismatch": [
    "The device id does not belong to the public key, or the key cannot be read.",
    "The id is the lower-case hex SHA-256 of the raw Ed25519 public key.",
  ],
  "auth.device_nonce_missing": [
    "The device signed no challenge.",
    "Wait for connect.challenge and sign its nonce.",
  ],
  "auth.device_nonce_mismatch": [
    "The device signed another connection's challenge.",
    "Sign the nonce of this connection's connect.challenge.",
  ],
  "auth.device_signature_expired": [
    "The device's signature is more than two minutes off.",
    "Set the device's clock, then connect again.",
  ],
  "auth.device_signature_invalid": [
    "The device's signature does not fit what it sent.",
    "Sign the connect parameters exactly as they are sent.",
  ],
  "auth.device_token_mismatch": [
    "The device token is wrong, rotated, revoked, or another device's.",
    "Connect once with the gateway token for a new one, or ask an operator to approve the device again.",
  ],
  "auth.device_scope_mismatch": [
    "The device asks for a scope that was not approved for it.",
    "Ask for less, or request the scope: device.scopes.requestUpgrade.",
  ],
  "auth.device_unpaired": [
    "The device, or what it asks for, is not approved.",
    "Approve it: openclaw devices approve <requestId>.",
  ],
  "auth.pairing_full": [
    "Too many devices wait to be paired.",
    "Approve or reject some: openclaw devices list.",
  ],
  "auth.pairing_unavailable": [
    "The paired devices cannot be read or written.",
    "Mend or remove nodes/paired.json in the state folder; the log says what is wrong.",
  ],
  "auth.pairing_request_unknown": [
    "No such request to pair waits.",
    "See those that do: openclaw devices list.",
  ],
  "auth.device_unknown": ["There is no such device.", "See those that are paired: openclaw devices list."],
  "auth.device_token_change_denied": [
    "This device token may not be changed by this caller.",
    "Ask as an operator who holds everything that the token stands for; the log says why.",
  ],
  "auth.bootstrap_invalid": [
    "The setup code is wrong, was used already, or has expired.",
    "Make a new one: device.pair.setupCode.",
  ],
  "auth.trusted_proxy_untrusted_source": [
    "This gateway lets its proxy say who is calling, and the request did not come through it.",
    "Open the gateway at the proxy's address; on the gateway's own machine gateway.auth.password works too.",
  ],
  "auth.trusted_proxy_loopback_source": [
    "The proxy runs on this machine, where every program could pass for it.",
    "Set gateway.auth.trustedProxy.allowLoopback to true if you trust all programs on this machine.",
  ],
  "auth.trusted_proxy_local_interface_source": [
    "The request comes from this machine's own address, not from a proxy elsewhere.",
    "Put the proxy on another machine or container network, or on loopback with allowLoopback.",
  ],
  "auth.trusted_proxy_local_interface_check_failed": [
    "This machine does not tell its own addresses, so the proxy cannot be told from it.",
    "The log says what failed; nobody is signed in by the proxy until it works.",
  ],
  "auth.trusted_proxy_missing_header": [
    "A header that gateway.auth.trustedProxy.requiredHeaders names is missing or empty.",
    "Make the proxy send it; the log says which.",
  ],
  "auth.trusted_proxy_user_missing": [
    "The proxy did not say who is calling, or not plainly.",
    "Make the proxy overwrite gateway.auth.trustedProxy.userHeader with one name.",
  ],
  "auth.trusted_proxy_user_not_allowed": [
    "The proxy signed somebody in who is not in gateway.auth.trustedProxy.allowUsers.",
    "Add the user there, spelled exactly as the proxy spells it.",
  ],
  "auth.assertion_missing": [
    "The request carries no signed assertion of the identity provider.",
    "Open the gateway through the provider; the log says which header was looked for.",
  ],
  "auth.assertion_invalid": [
    "The signed assertion is not valid for this gateway.",
    "Check issuer and audience in gateway.auth.trustedProxy.assertion, and both clocks; the log says what did not fit.",
  ],
  "auth.assertion_key_unknown": [
    "The assertion is signed with a key that the provider has not published, or its keys could not be fetched.",
    "Check gateway.auth.trustedProxy.assertion.jwksUrl; the log says why a fetch failed.",
  ],
  "auth.tailscale_unverified": [
    "Tailscale does not confirm who is calling.",
    "Sign in with the gateway's token or password.",
  ],
  "auth.api_token_invalid": [
    "The API token is wrong, expired or revoked.",
    "See those that are good: openclaw tokens list; make one: openclaw tokens create.",
  ],
  "auth.method_not_allowed": [
    "This token may not call this method.",
    "See what it is limited to: openclaw tokens list; make one that may.",
  ],
  "auth.agent_not_allowed": [
    "This token may not use this agent.",
    "Name an agent that it is for: openclaw tokens list shows them.",
  ],
  "auth.channel_not_allowed": [
    "This token may not use this channel.",
    "Name a channel that it is for: openclaw tokens list shows them.",
  ],
  "auth.token_too_wide": [
    "A token cannot reach further than whoever makes it.",
    "Leave out what the answer names, or ask somebody who holds it.",
  ],
  "auth.token_name_taken": [
    "There is a token of this name.",
    "Choose another name, or revoke that one: openclaw tokens revoke <name>.",
  ],
  "auth.token_full": ["There are too many tokens.", "Revoke those that nobody uses: openclaw tokens list."],
  "auth.token_unknown": ["There is no such token.", "See those that there are: openclaw tokens list."],
  "auth.scope_missing": [
    "The caller does not hold the scope that this needs.",
    "Connect with the scope named in the error.",
  ],

  "channels.webhook_secret_missing": [
    "The request does not carry the platform's webhook secret.",
    "Nothing to do if you did not send it: only the chat platform may call this path.",
  ],
  "channels.webhook_secret_mismatch": [
    "The request carries a wrong webhook secret.",
    "If the platform sent it, it has another secret than the config: set the same one on both sides (GitHub: webhookSecret; Slack: signingSecret), and restart the channel, which for Telegram registers it.",
  ],
  "channels.webhook_stale": [
    "The request's signature is right, and more than five minutes old or ahead.",
    "If the platform sent it, set this machine's clock; otherwise somebody repeats an old request.",
  ],
  "channels.webhook_body_too_large": [
    "The request is larger than what is taken from this platform (1 MB).",
    "Telegram and Slack never send one. What GitHub could not deliver stands in the list of deliveries of its webhook.",
  ],

  "access.channel_disabled": ["The channel is turned off.", "Set channels.<id>.enabled to true."],
  "access.dm_disabled": [
    "Direct messages are turned off for this channel.",
    "Set dmPolicy to pairing or allowlist.",
  ],
  "access.sender_unpaired": [
    "The sender is not paired with this gateway.",
    "Approve the code: openclaw pairing approve <channel> <code>.",
  ],
  "access.sender_not_listed": [
    "The sender is not on the allowlist.",
    "Add the sender's stable id to allowFrom.",
  ],
  "access.sender_unidentified": [
    "The channel could not prove who the sender is.",
    "Nothing to do: messages without a stable sender id are refused.",
  ],
  "access.open_without_wildcard": [
    'dmPolicy open needs "*" in allowFrom.',
    'Add "*" to allowFrom if anybody may write to the agent.',
  ],
  "access.group_disabled": [
    "Group messages are turned off for this channel.",
    "Set groupPolicy to allowlist and list the group.",
  ],
  "access.group_not_listed": ["The group is not on the allowlist.", "Add the group's id to groups."],
  "access.group_sender_not_listed": [
    "The sender may not talk to the agent in this group.",
    "Add the sender's stable id to groupAllowFrom.",
  ],
  "access.not_mentioned": [
    "The message does not mention the agent.",
    "Mention it, or set requireMention to false for this group.",
  ],
  "access.conversation_unknown": [
    "The channel did not say what kind of conversation this is.",
    "Nothing to do: what is neither a direct chat nor a group is refused.",
  ],
  "access.bot_refused": [
    "The sender is a bot.",
    'Set allowBots to true, or to "mentions", if this bot may talk to the agent.',
  ],
  "access.bot_loop": [
    "A bot and this agent keep answering each other.",
    "Wait until the pause is over (botLoopProtection.cooldownSeconds), or make the other bot stop.",
  ],
  "access.command_not_allowed": [
    "The sender may talk to the agent, but not give it commands.",
    "Add the sender's stable id to commands.allowFrom, or to the allowlist of this chat.",
  ],
  "access.command_owner_only": [
    "Only the owner may give this command.",
    "Add the sender to commands.ownerAllowFrom, if it is the owner.",
  ],
  "access.sender_too_fast": [
    "The sender wrote too many messages in a short time.",
    "Wait a moment, then send it again; the limit is messageLimits.perSender.",
  ],
  "access.chat_too_fast": [
    "Too many messages came from this chat in a short time.",
    "Wait a moment, then send it again; the limit is messageLimits.perChat.",
  ],
  "access.budget_spent": [
    "The sender has used up the requests of a day.",
    "Ask again later; the limit is messageLimits.perSenderPerDay.",
  ],
  "access.pairing_full": [
    "Too many senders are waiting to be paired.",
    "Approve or dismiss some: openclaw pairing list.",
  ],

  "delivery.too_old": [
    "It was written long before the gateway came back.",
    "Send it again if it still needs an answer; messages.inbound.maxAgeMinutes says what is too old.",
  ],
  "session.no_agent": [
    "No agent is bound to this conversation.",
    "Add a binding, or configure exactly one agent.",
  ],
  "session.queue_full": [
    "This conversation has too many messages waiting.",
    "Wait for a reply, or send /stop.",
  ],
  "session.queue_capped": [
    "Too many messages wait in this conversation.",
    "Wait for the answers, send /stop, or raise messages.queue.cap.",
  ],
  "session.queue_dropped": [
    "It gave way to a newer message while too many waited.",
    "Send it again; messages.queue.cap and messages.queue.drop say how many wait and which gives way.",
  ],
  "session.message_too_large": [
    "The message is larger than an agent can take.",
    "Send it as a file, or in parts.",
  ],

  "policy.tool_unknown": ["There is no such tool.", "Use one of the tools listed."],
  "policy.tool_denied": ["The tool is turned off for this agent.", "Change tools.allow or tools.deny."],
  "policy.instructions_kept": [
    "The agent is told what is in this file before each turn, so only a turn of the owner's may change it.",
    "Ask for it as the owner, or change the file by hand.",
  ],
  "policy.arguments_invalid": [
    "The tool's arguments do not fit its schema.",
    "Correct the arguments and call again.",
  ],
  "policy.path_outside_workspace": [
    "The path leads outside the agent's workspace.",
    "Use a path inside the workspace.",
  ],
  "policy.exec_denied": [
    "Commands are turned off for this agent.",
    "Set tools.exec.mode to ask or allowlist.",
  ],
  "policy.exec_not_allowlisted": [
    "The command is not on the allowlist.",
    "Add it: openclaw approvals allowlist add <command>.",
  ],
  "policy.sandbox_required": [
    "This session's commands run in its sandbox and nowhere else.",
    "Leave host out, or change agents.defaults.sandbox.mode.",
  ],
  "policy.sandbox_unavailable": [
    "There is no sandbox that this command could run in, and it does not run outside of one.",
    "Mend what is named beside this; docs/sandbox.md says what a sandbox needs.",
  ],
  "policy.elevated_denied": [
    "No command of this session may leave its sandbox.",
    "List the agent or the sender in tools.elevated.allowFrom; the agent's own tools.elevated must agree.",
  ],
  "policy.review_denied": [
    "The reviewing model refused this (tools.exec.mode auto).",
    "Do it in another way, or let a person decide: set tools.exec.mode to ask.",
  ],
  "policy.approval_denied": ["An operator refused this.", "Do something else, or ask why."],
  "policy.approval_expired": [
    "Nobody answered the approval in time.",
    "Ask again when an operator is there.",
  ],
  "policy.run_stopped": [
    "The run was stopped, so the call was not made.",
    "Ask again if it is still wanted.",
  ],
  "policy.url_refused": [
    "The address may not be fetched.",
    "Use a public http or https address, or allow the host in tools.web.fetch.ssrfPolicy.",
  ],

  "http.approval_needed": [
    "The call needs an operator's approval, and a request cannot wait for one.",
    "Ask for it in a chat, where it can be approved.",
  ],

  "sandbox.path_changed": [
    "The file changed identity between the check and its use.",
    "Try again; if it repeats, something is racing the agent.",
  ],
  "sandbox.interrupted": [
    "The gateway stopped while this was running; what it did is not known.",
    "Look at its effect before you run it again.",
  ],

  "delivery.store_unavailable": [
    "The message could not be stored, so it was not accepted.",
    "Free some disk space, then send it again.",
  ],
  "delivery.draining": ["The gateway is stopping.", "Send it again in a moment."],
  "delivery.duplicate": [
    "The platform delivered this message before.",
    "Nothing to do: the first delivery was handled.",
  ],
  "delivery.conflict": [
    "This message ID was already used for different input.",
    "Send with a new idempotencyKey.",
  ],
} as const satisfies Record<string, readonly [meaning: string, next: string]>;

export type Reason = keyof typeof reasons;

/** The sentence for a person: what happened, and what to do next. */
export function reasonText(reason: Reason): string {
  const [meaning, next] = reasons[reason];
  return `${meaning} ${next}`;
}
