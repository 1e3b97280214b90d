import { useEffect, useId, useState } from "preact/hooks";
import type { Answers, AskedQuestion, PendingQuestions } from "../questions.ts";
import { Countdown } from "./countdown.tsx";
import { Icon } from "./icon.tsx";
import { usePage } from "./page-context.ts";
import { Visible } from "./visible.tsx";

/** A card that has only just come up under the pointer must not take a click that was meant for something else. */
const settleMs = 600;

/** What is chosen for one question. */
interface Choice {
  readonly labels: readonly string[];
  readonly inWords: boolean;
  readonly words: string;
}

const noChoice: Choice = { labels: [], inWords: false, words: "" };

export function QuestionCard({ asked }: { readonly asked: PendingQuestions }) {
  const page = usePage();
  // Here alone, and gone with the card: an answer may be a secret.
  const [choices, setChoices] = useState<Readonly<Record<string, Choice>>>({});
  const [settled, setSettled] = useState(false);
  const titleId = useId();
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), settleMs);
    return () => clearTimeout(timer);
  }, []);
  const answers = answersOf(asked.questions, choices);
  const locked = asked.answering || !settled;
  return (
    <form
      class="approval question"
      aria-labelledby={titleId}
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (answers && !locked) void page.questions.answer(asked.id, answers);
      }}
    >
      <header class="approval-head">
        <Icon name="person" />
        <strong id={titleId}>
          {asked.questions.length === 1 ? "A question for you" : "Questions for you"}
        </strong>
        <Countdown expiresAtMs={asked.expiresAtMs} onOver={page.questions.dropExpired} />
      </header>
      {asked.questions.map((question) => (
        <Fieldset
          key={question.questionId}
          question={question}
          choice={choices[question.questionId] ?? noChoice}
          choose={(choice) => setChoices({ ...choices, [question.questionId]: choice })}
        />
      ))}
      <div class="approval-actions">
        <button type="submit" class="button primary" disabled={locked || !answers}>
          Answer
        </button>
        <button
          type="button"
          class="button"
          disabled={locked}
          onClick={() => void page.questions.cancel(asked.id)}
        >
          Do not answer
        </button>
        <span class="hint">
          Asked by a program in <Visible source={asked.sessionKey} />
        </span>
      </div>
    </form>
  );
}

interface FieldsetProps {
  readonly question: AskedQuestion;
  readonly choice: Choice;
  choose(choice: Choice): void;
}

function Fieldset({ question, choice, choose }: FieldsetProps) {
  const { options, takesSeveral, takesWords, isSecret } = question;
  const hintId = useId();
  const name = useId();
  const type = takesSeveral ? "checkbox" : "radio";
  const pick = (label: string, isPicked: boolean) => {
    if (!takesSeveral) return choose({ ...choice, labels: [label], inWords: false });
    const others = choice.labels.filter((one) => one !== label);
    choose({ ...choice, labels: isPicked ? [...others, label] : others });
  };
  return (
    <fieldset class="asked" aria-describedby={isSecret ? hintId : undefined}>
      <legend>
        {question.header !== "" && (
          <span class="pill">
            <Visible source={question.header} />
          </span>
        )}{" "}
        <Visible source={question.question} />
      </legend>
      {options.map(({ label, description }) => (
        <label key={label} class="choice">
          <input
            type={type}
            name={name}
            checked={choice.labels.includes(label)}
            onChange={(event) => pick(label, event.currentTarget.checked)}
          />
          <span>
            <Visible source={label} />
            {description !== "" && (
              <span class="choice-note">
                <Visible source={description} />
              </span>
            )}
          </span>
        </label>
      ))}
      {takesWords && options.length > 0 && (
        <label class="choice">
          <input
            type={type}
            name={name}
            checked={choice.inWords}
            onChange={(event) =>
              choose({
                ...choice,
                labels: takesSeveral ? choice.labels : [],
                inWords: event.currentTarget.checked,
              })
            }
          />
          <span>Something else</span>
        </label>
      )}
      {takesWords && (options.length === 0 || choice.inWords) && (
        <Words isSecret={isSecret} words={choice.words} write={(words) => choose({ ...choice, words })} />
      )}
      {isSecret && (
        <p class="hint" id={hintId}>
          Only the program that asked gets this answer. The gateway writes it down nowhere.
        </p>
      )}
    </fieldset>
  );
}

interface WordsProps {
  readonly isSecret: boolean;
  readonly words: string;
  write(words: string): void;
}

function Words({ isSecret, words, write }: WordsProps) {
  const rest = {
    "aria-label": "In your own words",
    autocomplete: "off",
    maxLength: 4000,
    value: words,
    onInput: (event: { readonly currentTarget: HTMLInputElement }) => write(event.currentTarget.value),
  } as const;
  return isSecret ? <input type="password" {...rest} /> : <input type="text" {...rest} />;
}

/** Undefined while something is not answered yet. */
function answersOf(
  questions: readonly AskedQuestion[],
  choices: Readonly<Record<string, Choice>>,
): Answers | undefined {
  const given = questions.map(({ questionId, options }) => {
    const { labels, inWords, words } = choices[questionId] ?? noChoice;
    const own = inWords || options.length === 0 ? [words] : [];
    return [questionId, [...labels, ...own]] as const;
  });
  const isWhole = given.every(([, words]) => words.length > 0 && words.every((word) => word.trim() !== ""));
  return isWhole ? Object.fromEntries(given) : undefined;
}
