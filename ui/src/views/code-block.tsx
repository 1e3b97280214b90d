import { useState } from "preact/hooks";
import { Icon } from "./icon.tsx";

export function CodeBlock({ source, language }: { readonly source: string; readonly language: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(source);
      setCopied(true);
      setTimeout(() => setCopied(false), 2_000);
    } catch {
      // Not allowed (no secure context): the text can still be selected.
    }
  };
  return (
    <figure class="code-block">
      <figcaption>
        <span>{language.slice(0, 24) || "text"}</span>
        <button type="button" class="button ghost small" onClick={copy}>
          <Icon name="copy" />
          {copied ? "Copied" : "Copy"}
        </button>
      </figcaption>
      <pre>
        <code>{source}</code>
      </pre>
    </figure>
  );
}
