// What may become of a row.

export const WRONG = ["invalid", "rejected", "unknown", "not_attempted", "unmatched"];
export const FAILED = "failed"; // all of these
export const OUTCOMES = ["delivered", "already_delivered", "would_send", "duplicate", ...WRONG];

export const wrong = (outcomes) => WRONG.reduce((sum, outcome) => sum + (outcomes[outcome] || 0), 0);
export const all = (outcomes) => OUTCOMES.reduce((sum, outcome) => sum + (outcomes[outcome] || 0), 0);
export const colour = (outcome) => `var(--${OUTCOMES.includes(outcome) ? outcome : "left"})`;
