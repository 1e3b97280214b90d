import { useEffect, useRef } from "preact/hooks";
import { durationWords } from "../time-words.ts";
import { useGatewayNowMs } from "./page-context.ts";

interface Props {
  readonly expiresAtMs: number;
  /** Called once, when the time is over. */
  onOver(): void;
}

export function Countdown({ expiresAtMs, onOver }: Props) {
  const leftMs = expiresAtMs - useGatewayNowMs(1_000);
  const over = leftMs <= 0;
  const told = useRef(false);
  useEffect(() => {
    if (!over || told.current) return;
    told.current = true;
    onOver();
  }, [over, onOver]);
  if (expiresAtMs === Number.MAX_SAFE_INTEGER) return null;
  return (
    <span class={leftMs < 60_000 ? "countdown soon" : "countdown"}>
      {over ? "expired" : `expires in ${durationWords(leftMs)}`}
    </span>
  );
}
