import { Route, Routes } from "react-router";
import { Shell } from "./components/shell";
import { AppPage } from "./pages/app-page";
import { HomePage } from "./pages/home-page";
import { NotFoundPage } from "./pages/not-found-page";
import { RunPage } from "./pages/run-page";
import { SignInPage } from "./pages/sign-in-page";

export function App() {
  return (
    <Routes>
      <Route path="/sign-in" element={<SignInPage />} />
      <Route element={<Shell />}>
        <Route index element={<HomePage />} />
        <Route path="/apps/:deployment" element={<AppPage />} />
        <Route path="/runs/:id" element={<RunPage />} />
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}
