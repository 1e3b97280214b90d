import { useState } from "preact/hooks";
import { type Attachment, attachmentWords, isPicture } from "../attachments.ts";
import { Icon } from "./icon.tsx";
import { Visible } from "./visible.tsx";

/** The files of a reply: pictures in their place, everything else as something to download. */
export function Attachments({ files }: { readonly files: readonly Attachment[] }) {
  return (
    <ul class="attachments" aria-label="Files">
      {files.map((file, index) => (
        <li key={`${index}:${file.url}`}>
          {isPicture(file) ? <Picture file={file} /> : <FileLine file={file} />}
        </li>
      ))}
    </ul>
  );
}

function Picture({ file }: { readonly file: Attachment }) {
  const [isGone, setGone] = useState(false);
  if (isGone)
    return (
      <FileLine file={{ ...file, url: "" }} why="could not be shown; the gateway may not have it any more" />
    );
  return (
    <figure class="picture">
      <a
        href={file.url}
        target="_blank"
        rel="noopener noreferrer"
        aria-label={`Open the picture ${file.name}`}
      >
        <img src={file.url} alt={`Picture: ${file.name}`} decoding="async" onError={() => setGone(true)} />
      </a>
      <figcaption>
        <FileLine file={file} />
      </figcaption>
    </figure>
  );
}

function FileLine({
  file,
  why = "sent to the chat app",
}: {
  readonly file: Attachment;
  readonly why?: string;
}) {
  const name = <Visible source={file.name} />;
  return (
    <p class="file-line">
      {file.url === "" ? (
        <span class="file-name">{name}</span>
      ) : (
        <a class="file-name" href={file.url} download={file.name}>
          <Icon name="down" />
          <span>{name}</span>
        </a>
      )}
      <span class="file-facts">
        {attachmentWords(file)}
        {file.url === "" && ` · ${why}`}
      </span>
    </p>
  );
}
