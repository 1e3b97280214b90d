import { Component } from "preact";
import { useContext } from "preact/hooks";
import type { AssistantItem, Item, UserItem } from "../conversation.ts";
import { clockWords } from "../time-words.ts";
import { Attachments } from "./attachments.tsx";
import { Icon, Mark } from "./icon.tsx";
import { MarkdownContext } from "./page-context.ts";
import { ToolCard } from "./tool-card.tsx";
import { Visible } from "./visible.tsx";

interface Props {
  readonly item: Item;
  /** An approval for this tool call is open. */
  readonly isWaiting: boolean;
}

/** Drawn again only when its item is another one, so a long conversation costs nothing while a reply grows. */
export class ItemRow extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return next.item !== this.props.item || next.isWaiting !== this.props.isWaiting;
  }

  override render({ item, isWaiting }: Props) {
    switch (item.kind) {
      case "user":
        return <UserMessage item={item} />;
      case "assistant":
        return <AssistantMessage item={item} />;
      case "tool":
        return <ToolCard item={item} isWaiting={isWaiting} />;
      case "notice":
        return <p class="notice-row">{item.text}</p>;
    }
  }
}

function UserMessage({ item }: { readonly item: UserItem }) {
  return (
    <article class="message user">
      <h3 class="visually-hidden">{item.sender ? <Visible source={item.sender} /> : "You"}</h3>
      {item.sender !== undefined && (
        <p class="sender" aria-hidden="true">
          <Visible source={item.sender} />
        </p>
      )}
      <div class="bubble plain">{item.text}</div>
      {item.attachments > 0 && <p class="hint">{item.attachments} attached, not shown here</p>}
      <Time atMs={item.atMs} />
    </article>
  );
}

function AssistantMessage({ item }: { readonly item: AssistantItem }) {
  const Markdown = useContext(MarkdownContext);
  return (
    <article class="message assistant" aria-busy={item.state === "streaming"}>
      <span class="avatar">
        <Mark />
      </span>
      <div class="reply">
        <h3 class="visually-hidden">Assistant</h3>
        {Markdown ? <Markdown source={item.text} /> : <div class="plain">{item.text}</div>}
        {item.files !== undefined && <Attachments files={item.files} />}
        {item.state === "streaming" && <span class="caret" aria-hidden="true" />}
        {item.state === "stopped" && <p class="hint">Stopped before it was finished.</p>}
        {item.state === "failed" && (
          <p class="problem-text">
            <Icon name="alert" />
            <span>{item.problem} Send the message again to retry.</span>
          </p>
        )}
        <p class="byline">
          {item.state !== "streaming" && <Time atMs={item.atMs} />}
          {item.model !== undefined && <span>{item.provider === "demo" ? "demo model" : item.model}</span>}
        </p>
      </div>
    </article>
  );
}

function Time({ atMs }: { readonly atMs: number }) {
  if (atMs === 0) return null;
  const at = new Date(atMs);
  return (
    <time class="time" dateTime={at.toISOString()} title={at.toLocaleString()}>
      {clockWords(atMs)}
    </time>
  );
}
