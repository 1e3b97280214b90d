import { useState } from "preact/hooks";
import type { AccessAnswer, AccessChange, AccessQuestion, ToolReach } from "../access.ts";
import type { State } from "../state.ts";
import { Dialog } from "./dialog.tsx";
import { usePage } from "./page-context.ts";
import { Visible } from "./visible.tsx";

interface Props {
  readonly state: State;
  onClose(): void;
}

/** Who may talk, and who reaches a tool: the gateway's own rules, asked and not changed. */
export default function AccessPanel({ state, onClose }: Props) {
  return (
    <Dialog title="Who may talk" wide onClose={onClose}>
      <Explain state={state} />
      <WhoCan />
    </Dialog>
  );
}

function Explain({ state }: { readonly state: State }) {
  const page = usePage();
  const channels = [...new Set(state.channels.map((channel) => channel.id))];
  const [question, setQuestion] = useState<AccessQuestion>({
    channel: channels[0] ?? "telegram",
    sender: "",
    group: "",
    mention: false,
    text: "hello",
  });
  const [answer, setAnswer] = useState<AccessAnswer>();
  const [asking, setAsking] = useState(false);
  const change = (part: Partial<AccessQuestion>) => setQuestion({ ...question, ...part });
  const ask = async (event: Event) => {
    event.preventDefault();
    setAsking(true);
    setAnswer(await page.access.explain(question));
    setAsking(false);
  };
  return (
    <section class="access">
      <p class="quiet">
        Would a message reach the agent? Each rule that it meets is shown, with the line of the configuration
        that decides. Nothing is sent.
      </p>
      <form class="access-form" onSubmit={(event) => void ask(event)}>
        <label>
          Channel
          <input
            list="access-channels"
            required
            value={question.channel}
            onInput={(event) => change({ channel: event.currentTarget.value.trim() })}
          />
          <datalist id="access-channels">
            {channels.map((channel) => (
              <option key={channel} value={channel} />
            ))}
          </datalist>
        </label>
        <label>
          Sender's id
          <input
            required
            value={question.sender}
            onInput={(event) => change({ sender: event.currentTarget.value.trim() })}
          />
        </label>
        <label>
          Group's id <span class="quiet">(empty: a direct message)</span>
          <input
            value={question.group}
            onInput={(event) => change({ group: event.currentTarget.value.trim() })}
          />
        </label>
        <label>
          Text
          <input value={question.text} onInput={(event) => change({ text: event.currentTarget.value })} />
        </label>
        <label class="access-check">
          <input
            type="checkbox"
            checked={question.mention}
            onChange={(event) => change({ mention: event.currentTarget.checked })}
          />
          mentions the agent
        </label>
        <button type="submit" class="button primary" disabled={asking}>
          Explain
        </button>
      </form>
      <div aria-live="polite">{answer && <Answer answer={answer} />}</div>
    </section>
  );
}

const marks = { pass: "passes", refuse: "stops", note: "notes" } as const;

function Answer({ answer }: { readonly answer: AccessAnswer }) {
  return (
    <>
      <p>
        <strong class={answer.admitted ? "access-yes" : "access-no"}>
          {answer.admitted ? "It reaches the agent." : "It does not reach the agent."}
        </strong>{" "}
        {!answer.admitted && <Visible source={answer.sentence} />}
      </p>
      <ol class="access-steps">
        {answer.steps.map((step) => (
          <li key={`${step.rule}/${step.facts}`} class={step.outcome}>
            <strong>{step.rule}</strong> <span class="quiet">{marks[step.outcome]}</span>{" "}
            <Visible source={step.facts} />
            {step.place !== "" && <code class="access-place">{step.place}</code>}
          </li>
        ))}
      </ol>
      <Changes title="What it takes to be let in" changes={answer.needs} />
      <Changes title="What alone would end it" changes={answer.losses} />
    </>
  );
}

function Changes({ title, changes }: { readonly title: string; readonly changes: readonly AccessChange[] }) {
  if (changes.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul class="access-steps">
        {changes.map((item) => (
          <li key={item.text}>
            <Visible source={item.text} />
            {item.place !== "" && <code class="access-place">{item.place}</code>}
          </li>
        ))}
      </ul>
    </>
  );
}

function WhoCan() {
  const page = usePage();
  const [tool, setTool] = useState("exec");
  const [rows, setRows] = useState<readonly ToolReach[]>();
  const ask = async (event: Event) => {
    event.preventDefault();
    setRows(await page.access.whoCan(tool));
  };
  return (
    <section class="access">
      <h3>Who reaches a tool</h3>
      <form class="access-form" onSubmit={(event) => void ask(event)}>
        <label>
          Tool
          <input required value={tool} onInput={(event) => setTool(event.currentTarget.value.trim())} />
        </label>
        <button type="submit" class="button">
          Show
        </button>
      </form>
      <div aria-live="polite">
        {rows && rows.length === 0 && <p class="quiet">Nobody.</p>}
        {rows && rows.length > 0 && (
          <ul class="access-steps">
            {rows.map((row) => (
              <li key={`${row.sender}/${row.where}/${row.agent}`}>
                <strong>
                  <Visible source={row.sender} />
                </strong>{" "}
                <span class="quiet">
                  <Visible source={`${row.where}, agent ${row.agent}`} />
                </span>{" "}
                <Visible source={row.because} />
                {row.place !== "" && <code class="access-place">{row.place}</code>}
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}
