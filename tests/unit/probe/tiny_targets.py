"""Targets that are as small as a looped model can be, one for every answer of a probe."""

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, WIDTH, TURNS, LENGTH = 32, 16, 3, 12


class Tiny(nn.Module):
    def __init__(self, between=False):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.norm = nn.RMSNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.out_norm = nn.RMSNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.between = between

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.mlp(self.norm(h))
            if self.between:
                h = self.norm(h)
        return self.head(self.out_norm(h))


class Listed(Tiny):
    def forward(self, tokens):
        written = [self.embed(tokens)]
        for _ in range(TURNS):
            written.append(self.mlp(self.norm(sum(written))))
        return self.head(self.out_norm(sum(written)))


def loss(model, tokens, targets):
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


def target(model, loss=loss, **more):
    tokens = torch.randint(VOCABULARY, (2, LENGTH + 1))
    pair = tokens[:, :-1], tokens[:, 1:]
    return {"model": model, "args": pair[:1], "loss": loss, "loss_args": pair, **more}


def scaleaudit_target_free():
    return target(Tiny())


def scaleaudit_target_held():
    return target(Tiny(between=True))


def scaleaudit_target_listed():
    return target(Listed())


def scaleaudit_target_frozen():
    return target(Tiny().requires_grad_(False))


def scaleaudit_target_deaf():
    return target(Tiny(), lambda model, tokens, targets: loss(model, tokens, targets).detach())


def scaleaudit_target_constant():
    return target(Tiny(), lambda model, tokens, targets: 1.0 + 0.0 * loss(model, tokens, targets))


def scaleaudit_target_numberless():
    return target(Tiny(), lambda model, tokens, targets: loss(model, tokens, targets) / 0.0)


def scaleaudit_target_half():
    return target(Tiny().half())


def scaleaudit_target_lossless():
    tokens = torch.randint(VOCABULARY, (2, LENGTH))
    return {"model": Tiny(), "args": (tokens,)}


def scaleaudit_target_tuples():
    return target(Tiny(), batches=lambda: [batch(5), batch(5), batch(3)])


def scaleaudit_target_dicts():
    return target(Tiny(), batches=lambda: iter([named(batch(4))]))


def scaleaudit_target_misfits():
    return target(Tiny(), batches=lambda: [(1, 2, 3)])


def scaleaudit_target_failing():
    def batches():
        raise OSError("no such data")

    return target(Tiny(), batches=batches)


class Flipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def scaleaudit_target_flipped():
    def flipped(model, tokens, targets):
        return F.cross_entropy(Flipped.apply(model(tokens)).flatten(0, 1), targets.flatten())

    return target(Tiny(), flipped)


def batch(count):
    tokens = torch.randint(VOCABULARY, (count, LENGTH + 1))
    return tokens[:, :-1], tokens[:, 1:]


def named(pair):
    return dict(zip(("tokens", "targets"), pair, strict=True))


class Shown(Tiny):
    """Returns the last state beside the logits."""

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.mlp(self.norm(h))
        return self.head(self.out_norm(h)), h


def beside(term):
    def whole(model, tokens, targets):
        logits, h = model(tokens)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + term(model, h, targets)

    return target(Shown(), whole)


def scaleaudit_target_penalty_of_the_last_token():
    return beside(lambda model, h, targets: 0.01 * h[:, -1].square().mean())


def scaleaudit_target_raw_first_token():
    return beside(lambda model, h, targets: F.cross_entropy(model.head(h[:, 0]), targets[:, 0]))


def scaleaudit_target_penalty_of_a_channel():
    return beside(lambda model, h, targets: 0.01 * h[..., 0].square().mean())


def scaleaudit_target_penalty_of_all():
    return beside(lambda model, h, targets: 0.01 * h.square().mean())


def scaleaudit_target_rewarded():
    return beside(lambda model, h, targets: -0.01 * h.square().mean())


def scaleaudit_target_raw_and_ignored():
    """A raw readout, of which the loss ignores the first half of the positions."""

    def whole(model, tokens, targets):
        _, h = model(tokens)
        padded = torch.cat([torch.full_like(targets[:, :6], -100), targets[:, 6:]], 1)
        return F.cross_entropy(model.head(h).flatten(0, 1), padded.flatten())

    return target(Shown(), whole)


def scaleaudit_target_some_raw_beside_normed():
    """The batch says which tokens the raw readout is told."""
    given = target(Shown())
    tokens, targets = given["loss_args"]
    some = torch.where(torch.arange(LENGTH) % 3 == 0, targets, -100)

    def whole(model, tokens, targets, some):
        logits, h = model(tokens)
        raw = F.cross_entropy(model.head(h).flatten(0, 1), some.flatten())
        return raw + F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return {**given, "loss": whole, "loss_args": (tokens, targets, some)}


class Criterion(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, h, targets):
        return F.cross_entropy(self.head(self.norm(h)).flatten(0, 1), targets.flatten())


def scaleaudit_target_criterion():
    """The loss has weights of its own, which are none of the model's."""
    criterion = Criterion()
    return target(Shown(), lambda model, tokens, targets: criterion(model(tokens)[1], targets))


def scaleaudit_target_contrast():
    """Every example is a class of its own, and there are three: a batch has two and no eight."""

    def contrast(model, tokens):
        _, h = model(tokens)
        similar = F.normalize(h.mean(1), dim=-1) @ F.normalize(model.embed.weight[:3], dim=-1).T
        return F.cross_entropy(similar, torch.arange(len(tokens)))

    tokens = torch.randint(VOCABULARY, (2, LENGTH))
    return {"model": Shown(), "args": (tokens,), "loss": contrast, "loss_args": (tokens,)}


class Noted(Tiny):
    """Carries notes beside the state, which a turn reads through a norm or as they are."""

    def __init__(self, raw):
        super().__init__()
        self.write, self.read = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.raw = raw

    def forward(self, tokens):
        h = notes = self.embed(tokens)
        for _ in range(TURNS):
            read = notes if self.raw else self.norm(notes)
            h, notes = h + self.read(read), notes + self.write(self.norm(h))
        return self.head(h)


def scaleaudit_target_notes_read_normed():
    return target(Noted(raw=False))


def scaleaudit_target_notes_read_raw():
    return target(Noted(raw=True))
