import { useState } from "preact/hooks";
import { visiblePieces } from "../visible-text.ts";

/** Text from outside with every hidden character shown by its code point. */
export function Visible({ source }: { readonly source: string }) {
  return (
    <bdi>
      {visiblePieces(source).map((piece) =>
        piece.hidden ? (
          <mark class="hidden-character" title="A character that would not be visible">
            {piece.shown}
          </mark>
        ) : (
          piece.shown
        ),
      )}
    </bdi>
  );
}

interface ClipProps {
  readonly source: string;
  readonly label: string;
  readonly maxLines?: number;
  readonly className?: string;
  onShownWhole?(): void;
}

const maxCharacters = 4_000;

/** A block of text; a long one opens with its beginning and says how much is left. */
export function Clip({ source, label, maxLines = 14, className = "", onShownWhole }: ClipProps) {
  const [whole, setWhole] = useState(false);
  const start = clipStart(source, maxLines);
  const isCut = start.length < source.length;
  return (
    <div class="clip">
      <pre class={`code ${className}`}>
        <span class="visually-hidden">{label}: </span>
        <Visible source={whole ? source : start} />
        {isCut && !whole && "…"}
      </pre>
      {isCut && (
        <button
          type="button"
          class="button small"
          aria-expanded={whole}
          onClick={() => {
            setWhole(!whole);
            onShownWhole?.();
          }}
        >
          {whole ? "Show less" : `Show all of it (${source.length.toLocaleString()} characters)`}
        </button>
      )}
    </div>
  );
}

export function clipStart(source: string, maxLines: number): string {
  let end = -1;
  for (let line = 0; line < maxLines; line += 1) {
    end = source.indexOf("\n", end + 1);
    if (end === -1) break;
  }
  const byLines = end === -1 ? source : source.slice(0, end);
  return byLines.length > maxCharacters ? byLines.slice(0, maxCharacters) : byLines;
}
