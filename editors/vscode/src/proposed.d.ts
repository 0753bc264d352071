/** What this extension uses of VS Code's proposed API `inlineCompletionsAdditions`, and nothing else of it. */
declare module "vscode" {
  interface InlineCompletionItem {
    /** Shown as an edit where it is made, not as grey text at the cursor. */
    isInlineEdit?: boolean;
  }

  interface InlineCompletionItemProvider {
    /** Asks the editor to ask again. */
    onDidChange?: Event<void>;
    handleDidShowCompletionItem?(item: InlineCompletionItem): void;
    handleEndOfLifetime?(item: InlineCompletionItem, reason: EndOfLifetime): void;
  }

  /** `kind` is 0 after an accept, 1 after a dismissal and 2 after anything else. */
  interface EndOfLifetime {
    readonly kind: number;
    readonly supersededBy?: InlineCompletionItem;
    readonly userTypingDisagreed?: boolean;
  }

  namespace languages {
    export function registerInlineCompletionItemProvider(
      selector: DocumentSelector,
      provider: InlineCompletionItemProvider,
      metadata: { displayName: string; groupId: string },
    ): Disposable;
  }
}

export {};
