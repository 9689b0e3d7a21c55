export function EmptyStage() {
  return (
    <div className="grid aspect-square max-h-[max(18rem,100dvh-19.5rem)] w-full place-items-center rounded-2xl border border-dashed border-line-strong/60 p-8 text-center">
      <div>
        <svg viewBox="0 0 48 48" className="mx-auto mb-3 size-12 text-soft/60" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
          <rect x="6" y="9" width="36" height="30" rx="5" />
          <circle cx="17" cy="19.5" r="3.5" />
          <path d="m8 35 10.5-9.5 7 6 6.500-7L41 33" strokeLinejoin="round" />
        </svg>
        <p className="font-medium">Your picture appears here</p>
        <p className="mt-1 text-sm text-soft">Fill in the form and press Generate.</p>
      </div>
    </div>
  );
}
