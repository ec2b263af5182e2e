"Softened answers by the library's losses, the gradient by torch."
import torch
from hardkd import disagreement, kd_loss, soften


def cases_softened():
    draw = torch.Generator().manual_seed(3)
    rows = []
    for scale, K, temperature in [(1., 2, 1.), (4., 10, .25), (4., 10, 1.), (12., 10, 4.), (12., 30, 20.), (400., 5, 1.)]:
        teacher, student = scale*torch.randn(2, K, generator=draw, dtype=torch.float64)
        student.requires_grad_()
        plain = kd_loss(student[None], teacher[None], temperature)/temperature**2
        gradient, = torch.autograd.grad(plain, student)
        student = student.detach()
        p, q = (soften(z[None], temperature)[0] for z in (teacher, student))
        kl = disagreement(student[None], teacher[None], temperature).item()/temperature**2
        rows.append(dict(teacher=teacher, student=student, temperature=temperature, p=p, q=q, kl=kl, gradient=gradient,
                         length=gradient.norm().item(), two=p.topk(2).indices))
    stops = .25*2**(torch.arange(51, dtype=torch.float64)/8)
    dial = torch.cat([stops, torch.tensor([20.], dtype=torch.float64)])
    near = [dict(temperature=t, stop=(dial.log()-torch.tensor(t).double().log()).abs().argmin().item()) for t in (.1, .25, .9, 4., 7.3, 19.8, 50.)]
    return dict(rows=rows, stops=dial, near=near)
