import { useEffect, useState } from "preact/hooks";
import type { PendingApproval } from "../approvals.ts";
import { codePointName, foreignLetters } from "../visible-text.ts";
import type { Decision } from "../wire.ts";
import { Countdown } from "./countdown.tsx";
import { Icon } from "./icon.tsx";
import { usePage } from "./page-context.ts";
import { Clip, clipStart, Visible } from "./visible.tsx";

const maxLines = 20;

/** A card that has only just come up under the pointer must not take a click that was meant for something else. */
const settleMs = 600;

export function ApprovalCard({ approval }: { readonly approval: PendingApproval }) {
  const page = usePage();
  const [seenWhole, setSeenWhole] = useState(clipStart(approval.command, maxLines) === approval.command);
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), settleMs);
    return () => clearTimeout(timer);
  }, []);
  const locked = approval.answering || !settled;
  const answer = (decision: Decision, keep?: "proposal") =>
    void page.approvals.resolve(approval.id, decision, keep);
  return (
    <section class="approval" aria-label="Approval needed">
      <header class="approval-head">
        <Icon name="shield" />
        <strong>The agent asks to run this</strong>
        <Countdown expiresAtMs={approval.expiresAtMs} onOver={page.approvals.dropExpired} />
      </header>
      {approval.why !== "" && (
        <p class="approval-why">
          <Visible source={approval.why} />
        </p>
      )}
      <Clip
        source={approval.command}
        label="Command that would run"
        maxLines={maxLines}
        className="command"
        onShownWhole={() => setSeenWhole(true)}
      />
      <Lookalikes command={approval.command} />
      <Facts approval={approval} />
      <Rules approval={approval} />
      <div class="approval-actions">
        {approval.allowed.includes("allow-once") && (
          <button
            type="button"
            class="button primary"
            disabled={locked || !seenWhole}
            onClick={() => answer("allow-once")}
          >
            Allow once
          </button>
        )}
        {approval.allowed.includes("allow-always") && (
          <button
            type="button"
            class="button"
            disabled={locked || !seenWhole}
            onClick={() => answer("allow-always")}
          >
            Always allow
          </button>
        )}
        {approval.allowed.includes("allow-always") && approval.proposes !== "" && (
          <button
            type="button"
            class="button"
            disabled={locked || !seenWhole}
            onClick={() => answer("allow-always", "proposal")}
          >
            Always allow these
          </button>
        )}
        <button type="button" class="button danger" disabled={locked} onClick={() => answer("deny")}>
          Deny
        </button>
        {!seenWhole && <span class="hint">Show all of the command before you allow it.</span>}
      </div>
    </section>
  );
}

/** What a lasting yes would keep, before it is given. */
function Rules({ approval }: { readonly approval: PendingApproval }) {
  if (!approval.allowed.includes("allow-always")) return null;
  return (
    <>
      {approval.keeps !== "" && (
        <p class="approval-note">
          <span>
            Always allow: <Visible source={approval.keeps} />
          </span>
        </p>
      )}
      {approval.proposes !== "" && (
        <p class="approval-note">
          <span>
            You allowed commands like it before. Always allow these: <Visible source={approval.proposes} />
          </span>
        </p>
      )}
    </>
  );
}

function Lookalikes({ command }: { readonly command: string }) {
  const letters = foreignLetters(command);
  if (letters.length === 0) return null;
  return (
    <p class="approval-note">
      <Icon name="alert" />
      <span>
        Holds letters outside plain ASCII that may look like others:{" "}
        <bdi>{letters.slice(0, 20).map(named).join(", ")}</bdi>
      </span>
    </p>
  );
}

function named(letter: string): string {
  return `${letter} (${codePointName(letter)})`;
}

function Facts({ approval }: { readonly approval: PendingApproval }) {
  const rows: [string, string][] = [
    ["Folder", approval.folder],
    ["Program", approval.program],
    ["Runs on", approval.host],
    ["Agent", approval.agentId],
    ["Conversation", approval.sessionKey],
  ];
  return (
    <dl class="facts">
      {rows
        .filter(([, value]) => value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Visible source={value} />
            </dd>
          </div>
        ))}
      {approval.argv.length > 0 && (
        <div>
          <dt>Word by word</dt>
          <dd class="words">
            {approval.argv.map((word) => (
              <code>
                <Visible source={word === "" ? "(empty)" : word} />
              </code>
            ))}
          </dd>
        </div>
      )}
      {approval.environment.length > 0 && (
        <div>
          <dt>Environment</dt>
          <dd class="words">
            {approval.environment.map(([name, value]) => (
              <code>
                <Visible source={`${name}=${value}`} />
              </code>
            ))}
          </dd>
        </div>
      )}
    </dl>
  );
}
