"""A user's script, checked by mypy as strictly as it can; it is not run."""

from pathlib import Path

import torch

import svdlib

samples = svdlib.load_audio("song.mp3")
detector = svdlib.pretrained("detector")
log_mel = detector.standardizer(svdlib.LogMel()(samples))
singing = detector.predict_song(log_mel) > detector.threshold
feature = detector.features(log_mel[None, None, :115], ["mp6"])["mp6"]
inverter = svdlib.pretrained("inverter", layer="mp6", variant="aligned")
sound = svdlib.sonify(detector.standardizer.inverse(inverter(feature)[0, 0]))
svdlib.save_audio(Path(inverter.layer + ".wav"), sound)

corpus = svdlib.open_corpus("folder:my_songs")
songs = {name: svdlib.load_songs(corpus.split(name)) for name in ("train", "valid", "test")}
fitted = svdlib.fit_detector(songs["train"], songs["valid"], plan=svdlib.DetectorPlan(epochs=2), folder="runs/mine")
banks = {name: svdlib.ExcerptBank(part, standardizer=fitted.detector.standardizer) for name, part in songs.items()}
plan = svdlib.TrainingPlan(epochs=2, steps_per_epoch=20)
run = svdlib.fit_inverters(fitted.detector, banks["train"], banks["valid"], layers=["fc8"], plan=plan, resume=True)
scores = svdlib.evaluate_inverters(fitted.detector, run.inverters, banks["test"])
text: str = f"{scores['fc8'].nre:.3f} {svdlib.invert_song('song.mp3', at=3.0).probability:.2f} {singing.sum().item()}"

network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3))
x = torch.zeros(40, 1, 32, 16)
encoder = svdlib.Encoder(network, layers=["0", "2"], example=x[:2])
shape: tuple[int, ...] = encoder.shapes["2"]
bank = svdlib.TensorBank(x, groups=[index // 4 for index in range(40)])
own = svdlib.fit_inverters(encoder, bank, bank, inverter="auto", compare="2", plan="demo", folder="own", resume=True)
paths: dict[str, Path] = own.save("own")
found = svdlib.evaluate_inverters(encoder, svdlib.load_inverters("own"), bank)
heard = svdlib.open_listener("recurrent detector")
figure = svdlib.plot_inversions(x[:2], heard.listener, heard.inverters, heard.front)
line: float = found["2"].mean_predictor
pictures = svdlib.invert_by_optimisation(encoder["2"], encoder.features(x)["2"], x.shape).pictures
again = svdlib.load_detector("runs/mine/detector.safetensors")
front = svdlib.FrontEnd(frame_rate=100, band_hz=[100.0 * 2**number for number in range(16)])
svdlib.plot_inversions(x[:3], encoder, own.inverters, front).savefig("inversions.png")
page: Path = svdlib.explore(x, encoder, own.inverters, front).save("page.html")
whole: Path = svdlib.explore(bank, encoder, own, front).save("page.html")
svdlib.plot_inversions(bank, encoder, own, front).savefig("inversions.png")
gain: tuple[float, float] = svdlib.evaluate_inverters(encoder, own, bank)["2"].above_mean_ci95
