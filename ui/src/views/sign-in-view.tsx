import { useEffect, useRef, useState } from "preact/hooks";
import { Mark } from "./icon.tsx";
import { usePage } from "./page-context.ts";

interface Props {
  readonly access: { readonly message: string; readonly busy: boolean };
}

export function SignInView({ access }: Props) {
  const page = usePage();
  const field = useRef<HTMLInputElement>(null);
  const [token, setToken] = useState("");
  useEffect(() => field.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (token.trim() === "") return field.current?.focus();
    await page.signIn({ token: token.trim() });
    setToken("");
    field.current?.focus();
  };

  return (
    <main class="entrance">
      <form class="entrance-card" onSubmit={submit}>
        <Mark />
        <h1>Sign in to your gateway</h1>
        <p class="quiet">
          The easiest way is the sign-in link that the gateway prints when it starts. Or paste its token here.
        </p>
        <div role="alert">{access.message !== "" && <p class="problem-text">{access.message}</p>}</div>
        <label for="token">Gateway token</label>
        <input
          ref={field}
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          autocapitalize="off"
          value={token}
          aria-describedby="token-hint"
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit" class="button primary" disabled={access.busy}>
          {access.busy ? "Signing in…" : "Sign in"}
        </button>
        <p id="token-hint" class="hint">
          For a new link run <code>openclaw dashboard</code> on the gateway's machine. The token is{" "}
          <code>gateway.auth.token</code> in its configuration. It is not kept in this browser.
        </p>
      </form>
    </main>
  );
}
