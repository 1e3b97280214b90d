import type { Reason } from "../kernel/mod.ts";
import { invalid } from "./frames.ts";
import type { ConnectParams, WireError } from "./protocol.ts";

/** Why a device has to be approved first, as the wire says it. */
const pairingTexts = {
  "not-paired": ["device is not approved yet", "Approve this device from the pending pairing requests."],
  "role-upgrade": [
    "device is asking for a higher role than currently approved",
    "Review the requested role upgrade, then approve the pending request.",
  ],
  "scope-upgrade": [
    "device is asking for more scopes than currently approved",
    "Review the requested scopes, then approve the pending upgrade.",
  ],
  "metadata-upgrade": [
    "device identity changed and must be re-approved",
    "Review the refreshed device details, then approve the pending request.",
  ],
} as const;

export interface PairingDemand {
  readonly need: keyof typeof pairingTexts;
  readonly requestId: string;
  readonly deviceId: string;
  readonly role: string;
  readonly scopes: readonly string[];
  /** What the device has already; undefined when it is not paired. */
  readonly approved: { readonly roles: readonly string[]; readonly scopes: readonly string[] } | undefined;
}

/** The error of a device that waits for an operator, and the reason that its socket is closed with. */
export function pairingRequired(demand: PairingDemand): {
  readonly error: WireError;
  readonly closing: string;
} {
  const [text, remediationHint] = pairingTexts[demand.need];
  const message = `pairing required: ${text}`;
  return {
    closing: `${message} (requestId: ${demand.requestId})`,
    error: {
      code: "NOT_PAIRED",
      message,
      details: {
        code: "PAIRING_REQUIRED",
        reason: demand.need,
        requestId: demand.requestId,
        remediationHint,
        deviceId: demand.deviceId,
        requestedRole: demand.role,
        requestedScopes: demand.scopes,
        ...(demand.approved
          ? { approvedRoles: demand.approved.roles, approvedScopes: demand.approved.scopes }
          : {}),
      },
    },
  };
}

/** A refused `connect`, as the wire says it. */
export function connectError(reason: Reason, params: ConnectParams): WireError {
  const hasDevice = params.device !== undefined;
  const hint =
    params.client.id === "cli"
      ? "use this gateway's gateway.auth.token or pair the device"
      : "provide gateway auth token";
  switch (reason) {
    case "auth.device_identity_required":
      return {
        code: "NOT_PAIRED",
        message: "device identity required",
        details: { code: "DEVICE_IDENTITY_REQUIRED" },
      };
    case "auth.secret_missing":
      return unauthorized(`gateway token missing (${hint})`, "token_missing", "update_auth_configuration");
    case "auth.secret_mismatch":
      return unauthorized(
        `gateway token mismatch (${hint})`,
        "token_mismatch",
        hasDevice ? "retry_with_device_token" : "update_auth_credentials",
        hasDevice,
      );
    case "auth.api_token_invalid":
      return unauthorized(
        "API token wrong, expired or revoked (openclaw tokens list)",
        "token_mismatch",
        "update_auth_credentials",
      );
    case "auth.device_token_mismatch":
      return unauthorized(
        "device token mismatch (rotate/reissue device token)",
        "device_token_mismatch",
        "update_auth_credentials",
      );
    case "auth.device_scope_mismatch":
      return unauthorized(
        "device token scope mismatch (re-pair or approve scope upgrade)",
        "scope_mismatch",
        "review_auth_configuration",
      );
    case "auth.bootstrap_invalid":
      return unauthorized(
        "setup code invalid, expired, revoked, or already used (create a new one)",
        "bootstrap_token_invalid",
        "review_auth_configuration",
      );
    case "auth.device_required":
      return invalid("control ui requires device identity (use HTTPS or localhost secure context)", {
        code: "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
      });
    case "auth.device_nonce_missing":
      return deviceError("device nonce required", "DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing");
    case "auth.device_nonce_mismatch":
      return deviceError("device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch");
    case "auth.device_signature_expired":
      return deviceError(
        "device signature expired",
        "DEVICE_AUTH_SIGNATURE_EXPIRED",
        "device-signature-stale",
      );
    case "auth.device_signature_invalid":
      return deviceError("device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature");
    case "auth.device_identity_mismatch":
      return deviceError("device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch");
    case "auth.trusted_proxy_user_missing":
    case "auth.trusted_proxy_missing_header":
    case "auth.assertion_missing":
      return identityError(reason, "AUTH_IDENTITY_HEADER_REQUIRED");
    case "auth.trusted_proxy_untrusted_source":
    case "auth.trusted_proxy_loopback_source":
    case "auth.trusted_proxy_local_interface_source":
    case "auth.trusted_proxy_local_interface_check_failed":
    case "auth.trusted_proxy_user_not_allowed":
    case "auth.assertion_invalid":
    case "auth.assertion_key_unknown":
    case "auth.tailscale_unverified":
      return identityError(reason);
    default:
      return invalid("invalid role");
  }
}

export function rateLimited(lockedForMs: number): WireError {
  return {
    ...unauthorized(
      "too many failed authentication attempts (retry later)",
      "rate_limited",
      "wait_then_retry",
    ),
    retryable: true,
    retryAfterMs: Math.ceil(lockedForMs),
  };
}

function unauthorized(
  text: string,
  authReason: string,
  recommendedNextStep: string,
  canRetryWithDeviceToken = false,
): WireError {
  return invalid(`unauthorized: ${text}`, {
    code: `AUTH_${authReason.toUpperCase()}`,
    authReason,
    canRetryWithDeviceToken,
    recommendedNextStep,
  });
}

/** What the proxy in front said, or did not say. The documented reasons are those of the record, without their stage. */
function identityError(reason: Reason, code?: string): WireError {
  const authReason = reason.slice("auth.".length);
  const error = unauthorized(authReason.replaceAll("_", " "), authReason, "review_auth_configuration");
  return code === undefined ? error : invalid(error.message, { ...error.details, code });
}

function deviceError(message: string, code: string, reason: string): WireError {
  return invalid(message, { code, reason });
}
